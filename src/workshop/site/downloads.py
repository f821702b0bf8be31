"""Each lesson as a Jupyter notebook, made from the same Markdown."""

import functools
import os
import re
from pathlib import Path

import jupytext
import nbformat

from nnx_state import _addresses
from nnx_state._lessons import LESSONS
from nnx_state._pages import in_words
from workshop.pages import OLDER_FOLD
from workshop.site import install, markdown
from workshop.site.tree import Tree

FOLDER = Path("assets", "notebooks")  # inside docs
_SIGNS = {"wrong": "✕ Wrong:", "right": "✓ Right:"}  # as the style sheet has them
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:)([^)\s]*?)(#[^)]*)?\)(?:\{ #[\w-]+ \})?")


def make(tree: Tree, repository: str = "", site: str = "") -> None:
    """Make the notebook of each lesson that has a page; the addresses are those of `notebook`."""
    for lesson in LESSONS:
        if tree.has(page := f"docs/lessons/{lesson.slug}.md"):
            made = notebook(tree.read(page), page.removeprefix("docs/"), repository, site)
            tree.make(f"docs/{FOLDER.as_posix()}/{lesson.slug}.ipynb", f"{nbformat.writes(made)}\n")


def notebook(page: str, address: str, repository: str = "", site: str = "") -> nbformat.NotebookNode:
    """Return the notebook of a lesson, its outputs left to the reader.

    A block that must raise is a cell with the tag `raises-exception`, after which Jupyter goes on.

    Args:
        page: the Markdown of the lesson.
        address: where it lies inside docs, such as `lessons/linear.md`.
        repository: the address of the repository, from which a first cell installs the package where it is missing;
            without it that cell is a text that says how a clone is installed.
        site: the address of the site, ending with a slash; without it a link is text.
    """
    text = re.sub(r"\A---\n.*?\n---\n+", "", page, flags=re.DOTALL)
    text = re.sub(rf"^{re.escape(OLDER_FOLD)}\n.*?^///\n+", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^```\{\.text \.output\}\n.*?^```\n", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^```\{\.python[^}]*\.raises\}$", '```python tags=["raises-exception"]', text, flags=re.MULTILINE)
    text = re.sub(r"^```\{\.python[^}]*\}$", "```python", text, flags=re.MULTILINE)
    text = re.sub(r"^////.*\n+", "", text, flags=re.MULTILINE)
    text = re.sub(r"^/// (wrong|right) \|", lambda block: f"/// x | {_SIGNS[block[1]]}", text, flags=re.MULTILINE)
    text = re.sub(r"^/// \w+ \| (.*)$", r"**\1**", text, flags=re.MULTILINE)
    text = re.sub(r"^///\n", "", text, flags=re.MULTILINE)
    linked = functools.partial(_LINK.sub, lambda link: _absolute(link, address, site))
    text = markdown.outside_of_code(in_words(text), linked)
    made: nbformat.NotebookNode = jupytext.reads(text, fmt="md")
    made.cells = [cell for cell in made.cells if cell.source]
    made.cells.insert(1, _installing(repository))
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("lines_to_next_cell", None)  # a note of jupytext to itself
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
    return made


_INSTALL = """\
import importlib.util

if importlib.util.find_spec("nnx_state") is None:
    %pip install --quiet {}\
"""
IN_A_CLONE = f"""\
**Install.** The cells import `nnx_state`, the package of these lessons.
Run `{install.command()}` in the folder of a clone of the repository, once.\
"""


def _installing(repository: str) -> nbformat.NotebookNode:
    cell: nbformat.NotebookNode = nbformat.v4.new_markdown_cell(IN_A_CLONE)
    if repository:
        cell = nbformat.v4.new_code_cell(_INSTALL.format(install.source(repository)), metadata={"tags": ["install"]})
    return cell


def _absolute(link: re.Match[str], address: str, site: str) -> str:
    """Return a link between pages as one that leads to the site, or as its text alone."""
    text, target, anchor = link.group(1), link.group(2), link.group(3) or ""
    if not site:
        return text
    page = os.path.normpath(Path(address).parent / target).replace(os.sep, "/") if target else address
    return f"[{text}]({_addresses.address(page + anchor, site)})"
