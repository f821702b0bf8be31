"""The pages of the documentation, for a terminal. They are installed with the package; a clone has them in `docs`."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from nnx_state._outcome import RefusedError

PACKAGE = Path(__file__).parent
SHOWN = ("lessons/*.md", "reference/*.md", "coming-from/*.md", "pitfalls.md")  # of docs; pyproject.toml installs them
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)
_FENCE = re.compile(r"^```(?:\{\.(\w+).*\})?")
_BLOCK = re.compile(r"^///(?: [\w-]+(?: \| (.*))?)?$")
_LINK = re.compile(
    r"\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\((?:[^()\s]+\.(?:md|py)\b|https?:|#)[^()\s]*\)"
)  # `f[0](x)` is none
_HEADING = re.compile(r"^(#+) (.*?)(?: *\{ *#([\w-]+) *\})?$")

Line = tuple[str, bool]  # its text, and whether it is prose and not of a block of code


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
        lessons = sorted(slug for slug, path in pages.items() if slug == path.stem and path.parent.name == "lessons")
        raise RefusedError(f"No lesson is named {place!r}: choose one of {', '.join(lessons)}.")
    lines = _told_apart(_FRONT_MATTER.sub("", file.read_text("utf-8")).splitlines())
    return "\n".join(map(_shown, _section(lines, heading, place) if heading else lines))


def known() -> dict[str, Path]:
    """Return the file of each page by its name; a lesson is also named by its slug alone."""
    installed, clone = PACKAGE / "pages", PACKAGE.parents[1] / "docs"
    folder = installed if installed.exists() else clone
    files = [path for pattern in SHOWN for path in folder.glob(pattern)]
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}
    return found | {path.stem: path for path in files if path.parent.name == "lessons"}


def without_links(markdown: str) -> str:
    """Return Markdown whose links are their texts, since they lead from page to page of the site."""
    return _LINK.sub(r"\1", markdown)


def _told_apart(texts: Iterable[str]) -> list[Line]:
    """Return each line, and whether it is prose; a fence belongs to its code."""
    lines, inside = [], False
    for text in texts:
        fence = text.startswith("```")
        lines.append((text, not (inside or fence)))
        inside ^= fence
    return lines


def _section(lines: list[Line], wanted: str, place: str) -> list[Line]:
    """Return the lines from a heading to the next one that is not below it."""
    headings = [
        (number, len(found[1]), found[3] or anchor(found[2]))
        for number, (text, prose) in enumerate(lines)
        if prose and (found := _HEADING.match(text))
    ]
    for start, level, name in headings:
        if name == wanted:
            ends = [number for number, other, _ in headings if number > start and other <= level]
            return lines[start : min(ends, default=len(lines))]
    names = [name for _, _, name in headings]
    near = ", ".join(difflib.get_close_matches(wanted, names) or names)
    raise RefusedError(f"{place} has no heading {wanted!r}: choose one of {near}.")


def anchor(heading: str) -> str:
    """Return how an address names a heading, as Python-Markdown does."""
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
    return "" if text.startswith("<!--") else without_links(text)
