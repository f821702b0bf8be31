"""The pages of the documentation, for a terminal. They are installed with the package; a clone has them in `docs`."""

import difflib
import re
from pathlib import Path
from typing import NamedTuple

from nnx_state._outcome import RefusedError

PACKAGE = Path(__file__).parent
SHOWN = (
    "lessons/*.md",
    "reference/*.md",
    "coming-from/*.md",
    "pitfalls/*.md",
    "audit/*.md",
)  # of docs; pyproject.toml installs them
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)
_FENCE = re.compile(r"^```(?:\{\.(\w+).*\})?")
_BLOCK = re.compile(r"^/{3,}(?: html \| .*| [\w-]+(?: \| (.*))?)?$")
_LINK = re.compile(
    r"\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\((?:[^()\s]+\.(?:md|py)\b|https?:|#)[^()\s]*\)(?:\{ #[\w-]+ \})?"
)  # `f[0](x)` is none
_IMAGE = re.compile(r'!\[([^\]\n]*)\]\([^\s)]+(?: "([^"\n]*)")?\)')  # what it shows, and what it says
_HEADING = re.compile(r"^(#+) (.*?)(?: *\{ *#([\w-]+) *\})?$")
_MOVED = re.compile(r"\]\(([\w-]+)\.md#([\w-]+)\)\{ #([\w-]+) \}")  # a link with the name of a section that has moved

Line = tuple[str, bool]  # its text, and whether it is prose and not of a block of code


class Heading(NamedTuple):
    """A heading of a page: its line, counted from 1, its level, its words and how an address names it."""

    line: int
    level: int
    title: str
    anchor: str


def page(name: str) -> str:
    """Return a page, or the part of it below a heading, in Markdown that a terminal can show.

    Args:
        name: such as `linear`, `linear#the-kernel-is-a-plain-array`, `reference/linear` or `pitfalls`.

    Raises:
        RefusedError: If there is no such page or heading.
    """
    place, _, heading = name.partition("#")
    pages = known()
    file = pages.get(place.removesuffix(".md").replace("_", "-"))
    if file is None:
        lessons = sorted(slug for slug, path in pages.items() if slug == path.stem != "index")
        raise RefusedError(f"No lesson is named {place!r}: choose one of {', '.join(lessons)}.")
    text = file.read_text("utf-8")
    for moved in (found for found in _MOVED.finditer(text) if found[3] == heading):
        return page(f"{file.parent.name}/{moved[1]}#{moved[2]}")
    text = _FRONT_MATTER.sub("", text)
    lines = _told_apart(text)
    if heading:
        first, last = section(text, heading)
        if not first:
            names = [one.anchor for one in headings(text)]
            near = ", ".join(difflib.get_close_matches(heading, names) or names)
            raise RefusedError(f"{place} has no heading {heading!r}: choose one of {near}.")
        lines = lines[first - 1 : last]
    return "\n".join(map(_shown, lines))


def known() -> dict[str, Path]:
    """Return the file of each page by its name; a lesson also by its slug, and an index by its folder."""
    place = folder()
    files = [path for pattern in SHOWN for path in place.glob(pattern)]
    found = {path.relative_to(place).with_suffix("").as_posix(): path for path in files}
    found |= {path.parent.name: path for path in files if path.stem == "index"}
    return found | {path.stem: path for path in files if path.parent.name == "lessons"}


def folder() -> Path:
    """Return the folder of the pages: the one that is installed with the package, or that of a clone."""
    installed, clone = PACKAGE / "pages", PACKAGE.parents[1] / "docs"
    return installed if installed.exists() else clone


def without_links(markdown: str) -> str:
    """Return Markdown whose links are their texts, since they lead from page to page of the site."""
    return _LINK.sub(r"\1", markdown)


def in_words(markdown: str) -> str:
    """Return Markdown in which each image is told: what it shows, and what it says."""
    return _IMAGE.sub(lambda found: f"> **Figure.** {found[1]} {found[2] or ''}".rstrip(), markdown)


def headings(text: str) -> list[Heading]:
    """Return the headings of a page; a comment in a block of code is none."""
    found = [(number, _HEADING.match(line)) for number, (line, prose) in enumerate(_told_apart(text), start=1) if prose]
    return [Heading(number, len(one[1]), one[2], one[3] or anchor(one[2])) for number, one in found if one]


def section(text: str, wanted: str) -> tuple[int, int]:
    """Return the first line of a section, that of its heading, and its last one, counted from 1.

    A section ends before the next heading that is not below its own. Where there is none of that name, both are 0.

    Args:
        text: the page.
        wanted: how an address names the heading.
    """
    found = headings(text)
    for place, heading in enumerate(found):
        if heading.anchor == wanted:
            ends = [other.line - 1 for other in found[place + 1 :] if other.level <= heading.level]
            return heading.line, ends[0] if ends else len(text.splitlines())
    return 0, 0


def _told_apart(text: str) -> list[Line]:
    """Return each line of a page, and whether it is prose; a fence belongs to its code."""
    lines, inside = [], False
    for line in text.splitlines():
        fence = line.startswith("```")
        lines.append((line, not (inside or fence)))
        inside ^= fence
    return lines


def anchor(heading: str) -> str:
    """Return how an address names a heading, as Python-Markdown does: by its `{ #name }`, or else by its words."""
    if named := re.search(r"\{ *#([\w-]+) *\}$", heading):
        return named[1]
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def _shown(line: Line) -> str:
    """Return a line as a terminal shows it: without links, and without what the site alone understands."""
    text, prose = line
    if not prose:
        return _FENCE.sub(lambda fence: f"```{fence[1] or ''}", text)
    if heading := _HEADING.match(text):
        return without_links(f"{heading[1]} {heading[2]}")
    if block := _BLOCK.match(text):
        return f"**{block[1]}**" if block[1] else ""
    return "" if text.startswith("<!--") else without_links(in_words(text))
