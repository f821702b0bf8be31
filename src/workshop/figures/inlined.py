"""A figure stands in the HTML itself, so that its colours are those of the page and its text is text.

This is an extension of Python-Markdown. It knows the standard library and that alone: the successor of MkDocs runs it
where nothing else of this repository is installed.
"""

import html
import re
from pathlib import Path
from typing import Any

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor

FOLDER = "assets/figures"  # inside docs
# A line of its own; in the brackets stands what the figure shows, in the quotes what it says.
LINE = re.compile(rf'!\[([^\]\n]*)\]\(((?:\.\./)*{FOLDER}/([\w-]+)\.svg)(?: "([^"\n]*)")?\)')
_BEFORE_HTML = 22  # after fences are set aside, and before HTML is


class _Inline(Preprocessor):  # type: ignore[misc]  # it comes without types
    def __init__(self, markdown: Markdown, docs: str) -> None:
        super().__init__(markdown)
        self._figures = Path(docs, FOLDER)

    def run(self, lines: list[str]) -> list[str]:
        return [self._inlined(line) for line in lines]

    def _inlined(self, line: str) -> str:
        found = LINE.fullmatch(line)
        file = self._figures / f"{found[3]}.svg" if found else None
        if found is None or file is None or not file.is_file():
            return line  # a link to what is missing is an error of the build
        caption = re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(found[4] or "", quote=False))
        return f'<figure class="drawing">\n{file.read_text("utf-8")}<figcaption>{caption}</figcaption>\n</figure>'


class Inlined(Extension):  # type: ignore[misc]  # it comes without types
    """Puts each figure into the page that shows it."""

    def __init__(self, **settings: Any) -> None:
        self.config = {"docs": ["docs", "the folder of the pages"]}
        super().__init__(**settings)

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - Python-Markdown calls it so
        """Add the step that does it."""
        md.preprocessors.register(_Inline(md, self.getConfig("docs")), "figures", _BEFORE_HTML)


def makeExtension(**settings: Any) -> Inlined:  # noqa: N802 - Python-Markdown calls it so
    """Return the extension."""
    return Inlined(**settings)
