"""How to install the package, as the pages and the notebooks say it: from the repository where the site knows one."""

import re

from workshop.site.tree import Tree

PAGES = ("docs/index.md", "docs/install.md")
_LINE = re.compile(r"(?<=^```sh\n)pip install .*(?=\n```$)", re.MULTILINE)


def make(tree: Tree, repository: str = "") -> None:
    """Make the line that installs the package on each page that shows it.

    Args:
        tree: the files.
        repository: the address of the repository; without it the line is one for a clone.

    Raises:
        ValueError: If a page does not hold the line once, in a fence of its own.
    """
    for path in PAGES:
        page, times = _LINE.subn(lambda _: command(repository), tree.read(path))
        if times != 1:
            fix = f"write `{command()}` in one fence"
            raise ValueError(f"{path}: it has {times} lines to install with. What to do: {fix}.")
        tree.make(path, page)


def command(repository: str = "") -> str:
    """Return the line that installs the package; without a repository it is to be run in the folder of a clone."""
    return f"pip install {source(repository)}" if repository else "pip install ."


def source(repository: str) -> str:
    """Return what pip is told to install, quoted for a shell."""
    return f'"nnx-state @ git+{repository}"'
