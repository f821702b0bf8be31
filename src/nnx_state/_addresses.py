"""Where a page of the documentation is on the site, and how a terminal gets there."""

import importlib.metadata
import os
import re


def address(page: str, site: str = "") -> str:
    """Return the address of a page of `docs`: `lessons/linear.md#see` becomes `lessons/linear/#see`.

    Args:
        page: the file of the page, and perhaps `#` and a heading.
        site: what comes before it, such as `https://example.org/`.
    """
    file, sharp, heading = page.partition("#")
    folder = re.sub(r"(?:(^|/)index)?[.](?:md|py)$", "/", file).lstrip("/")
    return f"{site}{folder}{sharp}{heading}"


def site() -> str:
    """Return what comes before every page: the variable SITE_URL, or the site that the package names, or nothing."""
    return os.environ.get("SITE_URL", "") or _published()


def reached(page: str) -> str:
    """Return how a terminal gets to a page: its whole address, or the command that shows it, in Markdown."""
    if known := site():
        return address(page, known)
    return f"`nnx-state lesson {page.removeprefix('lessons/').replace('.md', '')}`"


def _published() -> str:
    """Return the site that the metadata of the installed package name as its documentation."""
    try:
        urls = importlib.metadata.metadata("nnx-state").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:  # it runs from its sources
        return ""
    links = dict(url.split(", ", 1) for url in urls)
    return f"{links['Documentation'].rstrip('/')}/" if "Documentation" in links else ""
