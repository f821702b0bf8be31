"""The site as ``serve`` shows it: built whole once, and then kept up with what is edited.

MkDocs alone builds every page anew at each edit. With ``--dirty`` it builds the edited page alone, in a navigation with
titles made of file names, since it did not read the other pages. Here an edited page is read again, and for a module
the page of its docstrings; then all pages are written: reading is what takes the time, and each page shows titles of
others.

MkDocs has no public way to read one page. The lock holds the release whose private ones are used.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

import jinja2
from mkdocs.commands.build import _build_theme_template, _populate_page, build, get_context
from mkdocs.config.base import LegacyConfig
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import BasePlugin
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page
from mkdocs.utils import write_file

from workshop.pages import relative
from workshop.site.notebooks import Background, Outcome, sources

log = logging.getLogger("mkdocs.preview")
DOCSTRINGS = re.compile(r"^::: ([\w.]+)", re.MULTILINE)  # where a page shows those of a module


class Site(BasePlugin[LegacyConfig]):
    """A site that is built whole and then updated, as a plugin of its own build: it keeps what the build made.

    Args:
        settings: its configuration, a fresh one, since a build changes it.
    """

    nav: Navigation
    files: Files
    env: jinja2.Environment

    def __init__(self, settings: MkDocsConfig) -> None:
        super().__init__()
        self.settings = settings
        self.outcomes: Mapping[Path, Outcome] = {}

    def build(self, outcomes: Mapping[Path, Outcome]) -> None:
        """Build the whole site, given what came out of its notebooks."""
        self.outcomes = outcomes
        self.settings.plugins["preview"] = self
        build(self.settings, serve_url=self.settings.site_url)

    def on_nav(self, nav: Navigation, /, *, config: MkDocsConfig, files: Files) -> None:
        """Keep the navigation."""
        self.nav = nav

    def on_env(self, env: jinja2.Environment, /, *, config: MkDocsConfig, files: Files) -> None:
        """Keep the templates, and the files, whose pages have all been read."""
        self.env, self.files = env, files

    def on_page_content(self, html: str, /, *, page: Page, config: MkDocsConfig, files: Files) -> str:
        """Show what a notebook printed."""
        outcome = self.outcomes.get(Path(page.file.abs_src_path or ""))
        return outcome.shown(html) if outcome else html

    def sources(self) -> dict[Path, File]:
        """Return the files that are read into pages or copied, by their path."""
        files = [file for file in self.files if file.inclusion.is_in_serve()]
        return {Path(file.abs_src_path): file for file in files if file.abs_src_path}

    def modules(self) -> dict[Path, Path]:
        """Return the page that shows the docstrings of each module, by the path of the module."""
        shown = {
            Path(folder, *name.split(".")).with_suffix(".py"): path
            for path, file in self.sources().items()
            for name in DOCSTRINGS.findall((file.page and file.page.markdown) or "")
            for folder in self.settings.watch
        }
        return {module: page for module, page in shown.items() if module.exists()}

    def update(self, edited: Iterable[Path], outcomes: Mapping[Path, Outcome]) -> None:
        """Read edited files again, and write what shows them.

        Args:
            edited: some of the paths of `sources` and of `modules`.
            outcomes: what came out of the notebooks.
        """
        self.outcomes = outcomes
        mkdocstrings: Any = self.settings.plugins["mkdocstrings"]
        mkdocstrings.handlers.teardown()  # or it would show what modules said before
        sources, modules = self.sources(), self.modules()
        files = [sources[path] for path in {modules.get(path, path) for path in edited}]
        for file in files:
            if file.page is None:
                file.copy_file()
        pages = [file.page for file in files if file.page]
        if pages:
            self._read(pages)
            self._write()

    def _read(self, pages: list[Page]) -> None:
        """Read pages again, and let plugins do what they do between reading and writing."""
        plugins = self.settings.plugins
        for page in pages:
            _populate_page(page, self.settings, self.files)
        # not on_env of all plugins: mkdocstrings would write a style sheet from what it read in this call alone
        plugins["autorefs"].on_env(self.env, config=self.settings, files=Files(page.file for page in pages))
        search: Any = plugins["material/search"]
        index, urls = search.search_index, {page.url for page in pages}
        index.entries = [entry for entry in index.entries if urldefrag(entry["location"]).url not in urls]
        for page in pages:
            search.on_page_context({}, page=page, config=self.settings, nav=self.nav)
        search.on_post_build(config=self.settings)

    def _write(self) -> None:
        """Write all pages from what was read."""
        for name in self.settings.theme.static_templates:
            _build_theme_template(name, self.env, self.files, self.settings, self.nav)
        documents = self.files.documentation_pages(inclusion=InclusionLevel.is_in_serve)
        pages = [file.page for file in documents if file.page]
        for page in pages:
            page.active = True  # in the navigation
            context = get_context(self.nav, documents, self.settings, page)
            html = self.env.get_template(page.meta.get("template", "main.html")).render(context)
            html = self.settings.plugins.on_post_page(html, page=page, config=self.settings)
            page.active = False
            write_file(html.encode("utf-8", errors="xmlcharrefreplace"), page.file.abs_dest_path)
        for page in pages:
            page.validate_anchor_links(files=self.files, log_level=self.settings.validation.links.anchors)


class Preview:
    """A site that follows its sources.

    Args:
        load: returns a fresh configuration.
        places: the files and folders that the site is made of.
        background: what runs the notebooks.
    """

    def __init__(self, load: Callable[[], MkDocsConfig], places: Iterable[Path], background: Background) -> None:
        self._load = load
        self._places = list(places)
        self._background = background
        self._site: Site | None = None
        self._times: dict[Path, int] = {}
        self._outcomes: dict[Path, Outcome] = {}

    def bring_up_to_date(self) -> None:
        """Build what changed since the last call, which at the first one is the whole site; then let notebooks run."""
        site, self._site = self._site, None  # should this call fail, the next one builds the whole site
        times = {path: path.stat().st_mtime_ns for place in self._places for path in sources(place)}
        edited = _differing(self._times, times)
        if site and not edited <= (site.sources().keys() | site.modules().keys()) & times.keys():
            site = None  # a template, the navigation, a new file, code of the site: what follows may be anywhere
        settings = site.settings if site else self._load()
        outcomes = self._background.outcomes(settings)
        if site:
            edited |= _differing(self._outcomes, outcomes)
            site.update(edited, outcomes)
            log.info("Shown anew: %s", ", ".join(map(relative, sorted(edited))) or "nothing, since nothing changed")
        else:
            site = Site(settings)
            site.build(outcomes)
        self._site, self._times, self._outcomes = site, times, outcomes
        self._background.start(settings)


def _differing(before: Mapping[Path, object], after: Mapping[Path, object]) -> set[Path]:
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
