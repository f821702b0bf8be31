"""The files that the census looks at, by what they are."""

import functools
from dataclasses import dataclass
from pathlib import Path

from workshop.pages import Block, read
from workshop.site.tree import ROOT


@dataclass(frozen=True)
class Repository:
    """A copy of the repository.

    Attributes:
        root: the folder that holds `mkdocs.yml`.
    """

    root: Path = ROOT

    @property
    def docs(self) -> Path:
        """Return the folder of the pages."""
        return self.root / "docs"

    @property
    def package(self) -> Path:
        """Return the folder of the package."""
        return self.root / "src" / "nnx_state"

    @functools.cached_property
    def pages(self) -> list[Path]:
        """Return every page in Markdown, the README too."""
        return [path for path in (self.root / "README.md", *sorted(self.docs.rglob("*.md"))) if path.exists()]

    @functools.cached_property
    def notebooks(self) -> list[Path]:
        """Return the notebooks of the site."""
        return sorted(self.docs.glob("notebooks/*.py"))

    @functools.cached_property
    def modules(self) -> list[Path]:
        """Return the modules of the package, without what learners write."""
        return sorted(path for path in self.package.rglob("*.py") if path.with_name("__init__.py").exists())

    @functools.cached_property
    def lessons(self) -> list[Path]:
        """Return the pages of the lessons."""
        return sorted(page for page in self.docs.glob("lessons/*.md") if page.stem != "index")

    @functools.cached_property
    def teaching(self) -> list[Path]:
        """Return the pages and notebooks that teach: not those that show sources and docstrings."""
        sources = {page for page in self.docs.glob("claims/*.md") if page.stem != "index"}
        shown = {*sources, *self.docs.glob("reference/*.md")}
        return [path for path in (*self.pages, *self.notebooks) if path not in shown]

    @functools.cached_property
    def blocks(self) -> list[Block]:
        """Return every block of code that a reader sees."""
        return [block for path in (*self.pages, *self.modules, *self.notebooks) for block in read(path)]

    def name(self, path: Path) -> str:
        """Return a path as seen from the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()
