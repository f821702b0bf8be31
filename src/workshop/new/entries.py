"""The places among others that a new lesson gets: in the list of the lessons, and in the changelog."""

import ast
import re
import subprocess
import sys

from nnx_state._lessons import Lesson
from workshop.site.order import LIST

CHANGELOG = "CHANGELOG.md"
ADDED = "### Added\n\n"


def with_entry(source: str, lesson: Lesson, after: str) -> str:
    """Return the source of the list with a lesson behind another, formatted."""
    (listed,) = [
        node.value.elts
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
    ]
    ends = {ast.literal_eval(entry.args[0]): entry.end_lineno for entry in listed if isinstance(entry, ast.Call)}
    lines = source.splitlines(keepends=True)
    entry = f"{lesson.slug!r}, {lesson.title!r}, {lesson.question!r}, {lesson.needs!r}"
    lines.insert(ends[after] or 0, f"    Lesson({entry}),\n")
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", LIST, "-"]
    return subprocess.run(command, input="".join(lines), capture_output=True, encoding="utf-8", check=True).stdout


def with_line(changelog: str, lesson: Lesson) -> str:
    """Return the changelog with a line about a lesson, at the end of what was added since the last release."""
    before, heading, rest = changelog.partition("## [Unreleased]\n")
    section, start, older = rest.partition("\n## ")
    if ADDED not in section:
        section = f"\n{ADDED}{section}"
    line = f"- The lesson {lesson.title}, with an exercise, a reference page and a Jupyter notebook."
    section = re.sub(rf"{ADDED}(?:.+\n)*", lambda added: f"{added[0]}{line}\n", section)
    return f"{before}{heading}{section}{start}{older}"
