"""In which order tests start: the longest first, then the others, pages last and block by block."""

from pathlib import Path

import pytest
from pytest_markdown_docs.plugin import MarkdownInlinePythonItem

from workshop.pages import is_notebook

# The workers take one file after another. The first one waits until the site is built by a process of its own, and
# while the many pages are left, which are small, no worker is without work.
FIRST = [
    "tests/browser/test_pages.py",
    "tests/practice/test_exercises.py",
    "tests/claims/test_claims.py",
    "tests/docs/test_harness.py",
    "tests/browser/test_verdicts.py",
    "tests/browser/test_use.py",
]


def in_order(items: list[pytest.Item], root: Path) -> list[pytest.Item]:
    """Return tests in the order in which they start.

    The blocks of a page stay together and in their order, which lets each of its lines run once.
    """
    places = {root / name: place for place, name in enumerate(FIRST)}
    tests = [item for item in items if not isinstance(item, MarkdownInlinePythonItem)]
    tests.sort(key=lambda test: places.get(test.path, len(FIRST)))
    blocks = [item for item in items if isinstance(item, MarkdownInlinePythonItem)]
    pages = {page: place for place, page in enumerate(dict.fromkeys(block.path for block in blocks))}
    blocks.sort(key=lambda block: (not is_notebook(block.path), pages[block.path], block.start_line))
    return tests + blocks
