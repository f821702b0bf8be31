"""Count, page by page, the Python blocks that a reader sees and those that ran."""

import re
from collections import Counter
from pathlib import Path

from bs4 import BeautifulSoup

from workshop.pages import count

PYTHON_LIKE = re.compile(r"^language-(i?py\w*|i?python\w*|pycon)$", re.IGNORECASE)


def blocks_in(html: str) -> tuple[int, int]:
    """Return how many code blocks of a built page are Python, and how many there are in all.

    Signatures and source listings of the API pages are not examples, so they do not count.
    """
    soup = BeautifulSoup(html, "html.parser")
    for generated in soup.select(".doc-signature, .mkdocstrings-source, .doc-source"):
        generated.decompose()
    cells = soup.select(".jp-CodeCell .jp-InputArea")
    for cell in soup.select(".jp-Cell"):
        cell.decompose()
    fences = [pre.find_parent(class_="highlight") for pre in soup.select("pre")]
    python = [fence for fence in fences if any(PYTHON_LIKE.match(name) for name in fence["class"])]
    return len(cells) + len(python), len(cells) + len(fences)


def html_of(page: Path, docs: Path, site: Path) -> Path:
    """Return the built file of a page."""
    relative = page.relative_to(docs).with_suffix("")
    folder = relative.parent if relative.name == "index" else relative
    return site / folder / "index.html"


def sources_of(page: Path, docs: Path) -> list[Path]:
    """Return the files whose blocks a page shows: itself, and the modules whose docstrings it renders."""
    if page.suffix == ".py":
        return [page]
    modules = re.findall(r"^::: (\S+)", page.read_text("utf-8"), re.MULTILINE)
    files = [docs.parent / "src" / module.replace(".", "/") for module in modules]
    return [page, *(file / "__init__.py" if file.is_dir() else file.with_suffix(".py") for file in files)]


def complaints(docs: Path, site: Path, executed: Counter[Path]) -> list[str]:
    """Return one message for each page on which the numbers differ.

    Args:
        docs: the folder of the pages.
        site: the folder of the built site.
        executed: how many blocks of each source file ran.
    """
    found = []
    pages = [*docs.rglob("*.md"), *docs.glob("notebooks/*.py")]
    for page in sorted(pages):
        name = page.relative_to(docs.parent).as_posix()
        html = html_of(page, docs, site)
        if not html.exists():
            found.append(f"{name}: it is not in the built site. What to do: add it to `nav` in mkdocs.yml.")
            continue
        shown, all_shown = blocks_in(html.read_text("utf-8"))
        sources = sources_of(page, docs)
        ran = sum(executed[source] for source in sources)
        written = sum(map(count, sources))
        if shown != ran:
            found.append(
                f"{name}: a reader sees {shown} Python blocks, and {ran} ran. What to do: start each fence at the "
                "first column, write ```python or ```{.python continuation}, and use /// instead of !!!, ??? and ===."
            )
        if all_shown != written:
            found.append(
                f"{name}: a reader sees {all_shown} code blocks, and {written} fences are written. "
                "What to do: fence each block and name its language."
            )
    return found
