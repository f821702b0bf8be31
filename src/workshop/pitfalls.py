"""Read the entries of the pitfalls page, and the exceptions that the other pages prove."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnx_state import _pages
from workshop.pages import Block, read

PROVED = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Warning): .+)$", re.MULTILINE)
TITLE = re.compile(r"(?:…|\w+)(?:Error|Exception|Warning): .")  # one text may come from two classes
ENTRY = re.compile(r"^### (?P<title>.+?) \{ #(?P<anchor>[\w-]+) \}\n(?P<text>.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<page>(?!claims/)[\w/-]+\.md)#(?P<anchor>[\w-]+)\)")  # a claim has no block on its page


@dataclass(frozen=True)
class Entry:
    """One entry of the page.

    Attributes:
        title: an error text, of which `…` stands for any part, or a symptom in words.
        anchor: the id of its heading.
        proofs: page, relative to docs, and anchor of each section that it links to.
    """

    title: str
    anchor: str
    proofs: tuple[tuple[str, str], ...]

    @property
    def is_error(self) -> bool:
        """Tell an error text from a symptom in words."""
        return TITLE.match(self.title) is not None

    def covers(self, error: str) -> bool:
        """Tell whether an error text starts with the title."""
        parts = map(re.escape, self.title.split("…"))
        return re.match(".*".join(parts), error) is not None


def entries(page: Path) -> list[Entry]:
    """Return the entries of the pitfalls page, in order."""
    found = ENTRY.finditer(page.read_text("utf-8"))
    return [
        Entry(entry["title"].replace("`", ""), entry["anchor"], tuple(LINK.findall(entry["text"]))) for entry in found
    ]


def proved(blocks: tuple[Block, ...]) -> Iterator[tuple[Block, str]]:
    """Yield each error text that a block shows, without the module of its class and without backticks."""
    for block in blocks:
        for output in (output for output in (block.output, block.older) if output):
            for error in PROVED.findall(output.text.replace("`", "")):
                yield block, error


def section(page: Path, anchor: str) -> tuple[Block, ...]:
    """Return the Python blocks of a page from a heading to the next one of its level or above."""
    lines = page.read_text("utf-8").splitlines()
    fenced, start, level = False, 0, 0
    end = len(lines) + 1
    for number, line in enumerate(lines, start=1):
        fenced ^= line.startswith("```")
        heading = None if fenced else re.match(r"(#+) (.*)", line)
        if heading and start and len(heading[1]) <= level:
            end = number
            break
        if heading and not start and _pages.anchor(heading[2]) == anchor:
            start, level = number, len(heading[1])
    return tuple(block for block in read(page) if start and start < block.line < end)
