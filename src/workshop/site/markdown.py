"""The Markdown of each page beside its HTML, and ``llms.txt``, which lists it: for those who ask a language model.

A page at ``lessons/linear/`` has its Markdown at ``lessons/linear/index.md``. It is the source, with three changes that
let it be read by itself: links are addresses, figures are told in words, and where the page shows a module stands the
module's source.
"""

import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.utils.meta import get_data

from nnx_state._addresses import address
from nnx_state._pages import in_words

_FENCE = re.compile(r"(^`{3,}.*?^`{3,}$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^):\s]+\.(?:md|py))([?#][^)\s]*)?\)")
_SHOWN = re.compile(r"^::: (\S+)\n(?:    .*\n|\n(?=    ))*", re.MULTILINE)
_NAME = re.compile(r"\]\[(nnx_state[\w.]*)\]")


@dataclass(frozen=True)
class Page:
    """A page as it is published.

    Attributes:
        section: the part of the navigation that it stands in.
        source: its file inside docs, such as `lessons/linear.md`.
        markdown: its text.
    """

    section: str
    source: str
    markdown: str

    @property
    def file(self) -> str:
        """Return the file of its Markdown inside the site."""
        return f"{address(self.source)}index.md".lstrip("/")

    @property
    def title(self) -> str:
        """Return its heading, without marks."""
        return self._opening()[0].replace("`", "")

    @property
    def description(self) -> str:
        """Return what its front matter says of it, or else its first paragraph."""
        _, matter = get_data(self.markdown)
        return str(matter.get("description") or " ".join(self._opening()[1].splitlines()))

    def _opening(self) -> tuple[str, str]:
        """Return the heading and the paragraph below it."""
        found = re.search(r"^# (.*)\n+((?:.+\n?)*)", self.markdown, re.MULTILINE)
        if found is None:
            raise ValueError(f"{self.source} has no heading: write one, `# Title`.")
        return found[1], found[2]


def publish(config: MkDocsConfig, site: Path) -> list[Page]:
    """Write the Markdown of each page in the navigation into a built site, and `llms.txt`; return the pages."""
    site_url = config.site_url or ""
    entries = list(_entries(config.nav or []))
    if not entries:  # without a navigation there is nothing to list
        return []
    texts = {source: _text(Path(config.docs_dir, source)) for _, source in entries}
    shown = {module: source for source, text in texts.items() for module in _SHOWN.findall(text)}
    pages = [Page(section, source, standalone(texts[source], source, site_url, shown)) for section, source in entries]
    for page in pages:
        (site / page.file).write_text(page.markdown, "utf-8", newline="\n")
    (site / "llms.txt").write_text(overview(pages, config.site_name, site_url), "utf-8", newline="\n")
    return pages


def overview(pages: list[Page], name: str, site_url: str) -> str:
    """Return `llms.txt`: the home page's description, and each page with its address and its own description."""
    parts = [f"# {name}\n\n> {pages[0].description}\n"]
    section = ""
    for page in pages:
        if page.section != section:
            section = page.section
            parts.append(f"\n## {section}\n\n")
        parts.append(f"- [{page.title}]({site_url}{page.file}): {page.description}\n")
    return "".join(parts)


def standalone(text: str, source: str, site_url: str, shown: dict[str, str]) -> str:
    """Return the Markdown of a page as it can be read by itself.

    Args:
        text: the Markdown.
        source: its file inside docs.
        site_url: the address of the site, ending with a slash.
        shown: the modules that pages show, each with the file of the page.
    """

    def absolute(link: re.Match[str]) -> str:
        target = normpath(PurePosixPath(source).parent / link[1])
        return f"]({site_url}{address(target)}index.md{link[2] or ''})"

    def named(link: re.Match[str]) -> str:
        modules = [module for module in shown if f"{link[1]}.".startswith(f"{module}.")]
        return f"]({site_url}{address(shown[max(modules, key=len)])}index.md)" if modules else "]"

    def rewritten(prose: str) -> str:
        return _SHOWN.sub(_module, _NAME.sub(named, _LINK.sub(absolute, in_words(prose))))

    return outside_of_code(text, rewritten)


def outside_of_code(text: str, rewritten: Callable[[str], str]) -> str:
    """Return Markdown with what stands between its blocks of code rewritten: `made[name]()` in one is no link."""
    return "".join(part if _FENCE.fullmatch(part) else rewritten(part) for part in _FENCE.split(text))


def _module(shown: re.Match[str]) -> str:
    spec = importlib.util.find_spec(shown[1])
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"a page shows {shown[1]}, which is no module: correct the line `::: {shown[1]}`.")
    return f"````python\n{Path(spec.origin).read_text('utf-8')}````\n"


def _text(path: Path) -> str:
    """Return the Markdown of a page, which may be a notebook in percent format."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    notebook = jupytext.read(path)
    notebook.metadata = {"jupytext": {"notebook_metadata_filter": "-all"}}  # no header
    text: str = jupytext.writes(notebook, fmt="md")
    return text


def _entries(nav: list[Any], section: str = "") -> Iterator[tuple[str, str]]:
    """Yield each page of a navigation: its section, and its file inside docs."""
    for entry in nav:
        name, value = next(iter(entry.items())) if isinstance(entry, dict) else (section, entry)
        if isinstance(value, list):
            yield from _entries(value, section or name)
        else:
            yield section or name, value
