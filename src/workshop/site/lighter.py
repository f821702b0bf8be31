"""Take out of the built site what its pages do not use: comments of our styles and scripts, icons of the theme.

The source that is served is read by browsers alone; who reads code finds its comments in `docs/assets`.
"""

import re
from pathlib import Path

# Icons of what no page has: the titles of notes are plain, and there are no tags, posts, versions, footnotes or tasks.
UNUSED = (
    "admonition-icon",
    "footnotes-icon",
    "path-icon",
    "post",
    "source",
    "status",
    "tag-icon",
    "tasklist-icon",
    "typeset-table-sort",
    "version-icon",
)
_ICON = re.compile(rf"--md-(?:{'|'.join(UNUSED)})[\w-]*:url\((?:\"[^\"]*\"|'[^']*'|[^)]*)\);?")
_OF_STYLE = re.compile(r"/\*.*?\*/", re.DOTALL)
_OF_SCRIPT = re.compile(r"^\s*//.*\n", re.MULTILINE)
_INDENT = re.compile(r"\n\s*")


def lighten(site: Path) -> None:
    """Make the files of a built site lighter."""
    for theme in (site / "assets/stylesheets").glob("main.*.css"):
        theme.write_text(without_icons(theme.read_text("utf-8")), "utf-8")
    for style in (site / "assets").glob("*.css"):
        style.write_text(style_without_comments(style.read_text("utf-8")), "utf-8")
    for script in (site / "assets").glob("*.js"):
        script.write_text(script_without_comments(script.read_text("utf-8")), "utf-8")


def without_icons(style: str) -> str:
    """Return the theme's style sheet without the icons that no page shows."""
    return _ICON.sub("", style)


def style_without_comments(style: str) -> str:
    """Return a style sheet without comments and indentation."""
    return _INDENT.sub("\n", _OF_STYLE.sub("", style)).lstrip("\n")


def script_without_comments(script: str) -> str:
    """Return a script without the lines that are comments, and without indentation."""
    return _INDENT.sub("\n", _OF_SCRIPT.sub("", script)).lstrip("\n")
