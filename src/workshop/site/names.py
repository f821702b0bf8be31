"""The public names: `__init__.pyi`, and the table of the API index, from `__all__` of the lessons' modules."""

import ast

from nnx_state._lessons import LESSONS, Lesson
from workshop.site import tables
from workshop.site.tree import Tree

Names = dict[Lesson, list[str]]
MADE = "# Written by `python noxfile.py generate` from `__all__` of the lessons' modules."
LONGEST = 120  # columns, those of pyproject.toml


def make(tree: Tree) -> None:
    """Make the stub of the package and the index of its reference.

    Raises:
        ValueError: If two modules export one name.
    """
    files = {lesson: f"src/nnx_state/{lesson.module}.py" for lesson in LESSONS}
    names = {lesson: exported(tree.read(file)) for lesson, file in files.items() if tree.has(file)}
    tree.make("src/nnx_state/__init__.pyi", stub(names))
    tables.fill(tree, "docs/reference/index.md", table(names))


def exported(source: str) -> list[str]:
    """Return the names in `__all__` of a module, sorted; none if it has no such list."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value), key=_as_ruff)
    return []


def stub(names: Names) -> str:
    """Return the text of `__init__.pyi`: each name, imported from its module, and all of them as the public ones.

    Raises:
        ValueError: If two modules export one name.
    """
    modules: dict[str, str] = {}
    for lesson, found in names.items():
        for name in found:
            if name in modules:
                both = f"{modules[name]}.py and {lesson.module}.py"
                raise ValueError(f"{both} have `{name}` in __all__. What to do: give one of the two another name.")
            modules[name] = lesson.module
    sources = sorted((lesson.module, found) for lesson, found in names.items() if found)
    imports = "".join(_import(module, found) for module, found in sources)
    listed = "".join(f'    "{name}",\n' for name in sorted(modules, key=_as_ruff))
    return f"{MADE}\n{imports}\n__all__ = [\n{listed}]\n"


def table(names: Names) -> str:
    """Return the table of the API index in Markdown: module, names and lesson, in the order of the lessons."""
    rows = ["| Module | Names | Lesson |", "| --- | --- | --- |"]
    for lesson, found in names.items():
        module = f"nnx_state.{lesson.module}"
        links = ", ".join(f"[`{name}`][{module}.{name}]" for name in found)
        rows.append(f"| [`{module}`]({lesson.slug}.md) | {links} | [{lesson.title}](../lessons/{lesson.slug}.md) |")
    return "\n".join(rows)


def _import(module: str, names: list[str]) -> str:
    line = f"from .{module} import {', '.join(names)}\n"
    if len(line) <= LONGEST + 1:
        return line
    return f"from .{module} import (\n" + "".join(f"    {name},\n" for name in names) + ")\n"


def _as_ruff(name: str) -> tuple[int, str]:
    """Return what sorts names as Ruff does: constants, classes, functions."""
    constant = name.isupper() and len(name) > 1
    return (0 if constant else 1 if name[0].isupper() else 2, name)
