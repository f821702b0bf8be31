"""Every exception that a page proves leads to a cause and a fix, and every such entry leads to a proof."""

from collections import Counter
from pathlib import Path

import pytest

from harness.pitfalls import entries, proved, section
from workshop.pages import read

DOCS = Path(__file__).parents[2] / "docs"
PITFALLS = DOCS / "pitfalls.md"
# Exercises and reference pages prove the messages of this package, each of which says what to do.
PAGES = [DOCS / "index.md", DOCS / "upgrading.md", *DOCS.glob("lessons/*.md"), *DOCS.glob("coming-from/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_proved_exception_has_an_entry(page):
    known = [entry for entry in entries(PITFALLS) if entry.is_error]
    missing = [
        f"{block}: {error}" for block, error in proved(read(page)) if not any(entry.covers(error) for entry in known)
    ]
    assert not missing, "What to do: write an entry in docs/pitfalls.md for\n" + "\n".join(missing)


@pytest.mark.parametrize("entry", entries(PITFALLS), ids=lambda entry: entry.anchor)
def test_every_entry_leads_to_a_proof(entry):
    assert entry.proofs, "What to do: link to the heading below which it is proved, `lessons/SLUG.md#heading`."
    for page, anchor in entry.proofs:
        blocks = section(DOCS / page, anchor)
        assert blocks, f"What to do: mend the link to {page}#{anchor}, below which there is no block."
    blocks = [block for page, anchor in entry.proofs for block in section(DOCS / page, anchor)]
    if entry.is_error:
        texts = [error for _, error in proved(tuple(blocks))]
        assert any(map(entry.covers, texts)), f"What to do: link to a section that proves it, not {texts}."


def test_no_entry_stands_twice():
    every = [name for entry in entries(PITFALLS) for name in (entry.title, entry.anchor)]
    assert [name for name, times in Counter(every).items() if times > 1] == []
