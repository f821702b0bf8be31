"""Read the entries of the pitfalls, and the exceptions that pages prove.

An entry is a heading of the third level on a page of `docs/pitfalls`. What else can be read by a program is written so:

- `**Also.**` and error texts in backticks: other texts that lead to the entry;
- `**Which one?**` and the question that tells its causes apart, each a heading of the fourth level;
- `<!-- told by: one text | another -->` below a heading: one of these stands in the traceback, or around a warning.
  Without it, an entry is no answer but a guess, and a cause is none that is named first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath

from nnx_state import _pages
from workshop.pages import Block, read

FOLDER = "docs/pitfalls"
PROVED = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Warning): .+)$", re.MULTILINE)
TITLE = re.compile(r"(?:…|\w+)(?:Error|Exception|Warning): .")  # one text may come from two classes
LINK = re.compile(r"\]\((?P<page>[\w/.-]+\.md)#(?P<anchor>[\w-]+)\)")
ALSO = re.compile(r"^\*\*Also\.\*\* (.+)$", re.MULTILINE)
CODE = re.compile(r"(`+) ?(.+?) ?\1(?!`)")
QUESTION = re.compile(r"^\*\*Which one\?\*\* (.+)$", re.MULTILINE)
TOLD = re.compile(r"^<!-- told by: (.+) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Cause:
    """A heading of a page of pitfalls, with what stands below it.

    Attributes:
        title: its text, without backticks.
        anchor: the id of its heading.
        text: the Markdown below it, up to the next heading of any level.
        first: the line of its heading, counted from 1.
        last: the last line below it.
    """

    title: str
    anchor: str
    text: str
    first: int
    last: int

    @property
    def told(self) -> list[list[str]]:
        """Return what tells it: of each list, one text stands around the exception."""
        return [group.split(" | ") for group in TOLD.findall(self.text)]


@dataclass(frozen=True)
class Entry(Cause):
    """One entry: an error text, of which `…` stands for any part, or a symptom in words.

    Attributes:
        page: the file that holds it.
        causes: those that it tells apart.
    """

    page: Path
    causes: tuple[Cause, ...]

    @property
    def is_error(self) -> bool:
        """Tell an error text from a symptom in words."""
        return TITLE.match(self.title) is not None

    @property
    def texts(self) -> list[str]:
        """Return the error texts that lead to it, without backticks."""
        title = [self.title] if self.is_error else []
        found = [code for line in ALSO.findall(self.text) for _, code in CODE.findall(line)]
        return [*title, *(text.replace("`", "") for text in found if TITLE.match(text))]  # others are names

    @property
    def question(self) -> str:
        """Return the question that tells its causes apart."""
        found = QUESTION.search(self.text)
        return _pages.without_links(found[1]) if found else ""

    @property
    def whole(self) -> str:
        """Return all that stands below it, its causes too."""
        return "\n".join([self.text, *(cause.text for cause in self.causes)])

    @property
    def proofs(self) -> tuple[tuple[str, str], ...]:
        """Return page, relative to docs, and anchor of each section that it links to; a claim has no block."""
        places = [(normpath(f"pitfalls/{link['page']}"), link["anchor"]) for link in LINK.finditer(self.whole)]
        return tuple(place for place in places if not place[0].startswith(("claims/", "pitfalls/")))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Return the programs that it shows itself."""
        last = max(part.last for part in (self, *self.causes))
        return tuple(block for block in read(self.page) if self.first < block.line <= last)

    def covers(self, error: str) -> bool:
        """Tell whether an error text starts with one that leads to it."""
        return any(re.match(".*".join(map(re.escape, text.split("…"))), error) for text in self.texts)


def entries(folder: Path) -> list[Entry]:
    """Return the entries of all pages of pitfalls, page by page, in their order."""
    pages = [page for page in sorted(folder.glob("*.md")) if page.stem != "index"]
    return [entry for page in pages for entry in on_page(page)]


def on_page(page: Path) -> Iterator[Entry]:
    """Yield the entries of a page, in order."""
    parts = list(_parts(page.read_text("utf-8")))
    for place, (level, part) in enumerate(parts):
        if level == 3:
            below = []
            for deeper, cause in parts[place + 1 :]:
                if deeper < 4:
                    break
                below.append(cause)
            yield Entry(part.title, part.anchor, part.text, part.first, part.last, page, tuple(below))


def _parts(markdown: str) -> Iterator[tuple[int, Cause]]:
    """Yield the level of each heading but the page's own, and the heading with what stands below it."""
    lines = markdown.splitlines()
    headings = [heading for heading in _pages.headings(markdown) if heading.level > 1]
    ends = [*(heading.line - 1 for heading in headings[1:]), len(lines)]
    for (first, level, title, anchor), last in zip(headings, ends, strict=False):  # without any, one end
        yield level, Cause(title.replace("`", ""), anchor, "\n".join(lines[first:last]), first, last)


def proved(blocks: tuple[Block, ...]) -> Iterator[tuple[Block, str]]:
    """Yield each error text that a block shows, without the module of its class and without backticks."""
    for block in blocks:
        for output in (output for output in (block.output, block.older) if output):
            for error in PROVED.findall(output.text.replace("`", "")):
                yield block, error


def section(page: Path, anchor: str) -> tuple[Block, ...]:
    """Return the Python blocks of a page from a heading to the next one of its level or above."""
    first, last = _pages.section(page.read_text("utf-8"), anchor)
    return tuple(block for block in read(page) if first < block.line <= last)
