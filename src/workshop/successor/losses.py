"""What a site loses when another generator builds it: whole pages, or words of a page."""

import itertools
import tomllib
from pathlib import Path

from bs4 import BeautifulSoup

FILE = Path(__file__).with_name("lost.toml")


def listed() -> set[str]:
    """Return the addresses of the pages that are known to be lost."""
    return {page for group in tomllib.loads(FILE.read_text("utf-8"))["lost"] for page in group["pages"]}


def complaints(site: Path, successor: Path, lost: set[str]) -> list[str]:
    """Return a message for each page that differs in an unknown way, and for each that is lost no longer.

    Args:
        site: the folder of the site.
        successor: the folder of the site as its successor builds it.
        lost: the addresses of the pages that are known to be lost.
    """
    before, after = pages(site), pages(successor)
    found = []
    for address in sorted(lost | before.keys() | after.keys()):
        if address in lost:
            if address not in before or address in after:
                found.append(f"{address} is not lost. What to do: take it out of {FILE.name}.")
        elif address not in after:
            found.append(f"{address} is missing. What to do: mend it, or list it in {FILE.name} with the reason.")
        elif address not in before:
            found.append(f"{address} is new. What to do: find out what made it, and leave that out.")
        elif change := first_change(words(before[address]), words(after[address])):
            found.append(f"{address} reads differently: {change}. What to do: mend it.")
    return found


def pages(site: Path) -> dict[str, Path]:
    """Return the files of the pages of a site by their addresses, `/` for the first."""
    files = {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}
    return {name.removesuffix("index.html") or "/": path for name, path in files.items()}


def words(page: Path) -> list[str]:
    """Return the words of a page: its description, its title and its article."""
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    for permalink in soup.select(".headerlink"):
        permalink.decompose()
    described = [str(tag["content"]) for tag in soup.select("meta[name=description]")]
    shown = [tag.get_text(" ") for tag in soup.select("title, article")]
    return " ".join([*described, *shown]).split()


def first_change(before: list[str], after: list[str]) -> str:
    """Return the first twelve words that differ, as they were and as they are; nothing if all are equal."""
    for place, (word, other) in enumerate(itertools.zip_longest(before, after)):
        if word != other:
            return " became ".join(repr(" ".join(text[place : place + 12])) for text in (before, after))
    return ""
