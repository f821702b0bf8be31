"""Pages are about the package, and every public name of it is on some page."""

import ast
from collections.abc import Iterable, Iterator

from workshop.census.code import parsed
from workshop.census.repository import Repository
from workshop.pages import Block, read
from workshop.site.names import exported


def pages_show_the_package(repository: Repository) -> Iterator[str]:
    """Every page that teaches imports the package, but for the pitfalls, whose programs are the reader's."""
    for path in repository.teaching:
        if path.parent.name != "pitfalls" and "nnx_state" not in used(read(path)):
            fix = "What to do: show it on the package: `from nnx_state import …`."
            yield f"{repository.name(path)}: no block imports nnx_state. {fix}"


def public_names_are_on_pages(repository: Repository) -> Iterator[str]:
    """Every public name is used on some page that teaches."""
    shown = used(block for path in repository.teaching for block in read(path))
    for path in repository.modules:
        for name in exported(path.read_text("utf-8")):
            if name not in shown:
                fix = "What to do: use the name on a page, or take it out of __all__."
                yield f"{repository.name(path)}: no page uses {name}. {fix}"


def used(blocks: Iterable[Block]) -> set[str]:
    """Return what the blocks use of this package; the package itself counts under its own name."""
    names = set()
    for node in (node for block in blocks for node in ast.walk(parsed(block.code))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nnx_state":
            names |= {"nnx_state", *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "nnx_state" for alias in node.names):
            names.add("nnx_state")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nnx_state":
            names.add(node.attr)
    return names
