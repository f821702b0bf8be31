"""The terms that the lessons explain: where each is met first on the path, and whether that place explains it.

A term is explained where it stands in italics, as in *leaf*: that is its first place in the prose of the lessons.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nnx_state import _pages

# Each term and the forms in which prose uses it; "leaves" alone may be a verb.
TERMS = {
    "abstract": "abstract",
    "buffer": "buffers?",
    "carry": "carr(?:y|ies)",
    "container": "containers?",
    "donation": "donat(?:e|es|ed|ing|ion)",
    "filter": "filters?",
    "graph mode": "graph mode",
    "in place": "in place",
    "kernel": "kernels?",
    "key": "keys?",
    "leaf": "leaf|(?:the|its|their|these|those|all|which|no|two|of|more) leaves",
    "moment": "moments?",
    "mesh": "mesh(?:es)?",
    "metadata": "metadata",
    "optimizer": "optimizers?",
    "Param": "Params?",
    "pytree": "pytrees?",
    "replicated": "replicated",
    "split": "split|splits|splitting",
    "state": "state",
    "static": "static",
    "stream": "streams?",
    "tag": "tags?",
    "tie": "ties?|tied",
    "trace": "(?:un)?trac(?:e|es|ed|ing)",
    "transform": "transforms?",
    "tree mode": "tree mode",
    "type": "types?|subtypes?",
    "Variable": "Variables?",
    "weak type": "weak types?|weakly typed",
    "weight decay": "weight decay",
}
_IGNORED = re.compile(
    r"\A---\n.*?\n---\n"  # front matter
    r"|^```.*?^```"  # fences
    r"|^## Next$.*"  # what is made, to the end
    r"|^#.*?$"  # headings
    r"|^/// .*?$"  # the titles of folds
    r"|`[^`\n]*`"  # inline code
    r"|\[[^\]\n]*\]\([^)\n]*\)",  # links, which lead to what explains them
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Place:
    """The first place of a term on the path.

    Attributes:
        path: the page.
        line: the line, counted from 1.
        explained: whether the term stands in italics there.
        heading: the anchor of the section, empty above the first.
    """

    path: str
    line: int
    explained: bool
    heading: str


class Page(NamedTuple):
    """A page on the path."""

    path: str
    text: str


def first_places(pages: Iterable[Page], terms: Sequence[str] = tuple(TERMS)) -> dict[str, Place]:
    """Return the first place of each term that a page uses.

    Args:
        pages: the pages, in the order in which they are read.
        terms: the terms to look for.
    """
    found: dict[str, Place] = {}
    for page in pages:
        prose = _IGNORED.sub(lambda part: re.sub(r"[^\n]", " ", part[0]), page.text)  # every line keeps its number
        for term in terms:
            if term not in found and (first := _first(term, prose)):
                line = prose.count("\n", 0, first.start())
                found[term] = Place(page.path, line + 1, first["italics"] is not None, _heading(page.text, line))
    return found


def table(places: dict[str, Place]) -> str:
    """Return the terms and where each is explained, as a list in Markdown.

    Args:
        places: the first place of each term, on a page beside the one that holds the list.
    """
    links = []
    for term in sorted(places, key=str.casefold):
        place = places[term]
        address = place.path.rpartition("/")[2] + (f"#{place.heading}" if place.heading else "")
        links.append(f"[{term}]({address})")
    return " · ".join(links)


def _first(term: str, prose: str) -> re.Match[str] | None:
    forms = TERMS[term]
    italics = rf"(?<!\*)\*(?:[^*\n]*\s)?(?:{forms})(?:\s[^*\n]*)?\*(?!\*)"
    return re.search(rf"(?P<italics>{italics})|\b(?:{forms})\b", prose, re.IGNORECASE if term.islower() else 0)


def _heading(text: str, line: int) -> str:
    """Return the anchor of the section that holds a line, counted from 0; empty above the first section."""
    above = [heading.anchor for heading in _pages.headings(text) if heading.level > 1 and heading.line <= line]
    return above[-1] if above else ""
