"""Every exception that a page proves leads to a cause and a fix, and every such entry leads to a proof."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from workshop.census.repository import Repository
from workshop.pages import Block, read
from workshop.pitfalls import Entry, entries, proved, section

PAGE = "docs/pitfalls.md"


def exceptions_have_entries(repository: Repository) -> Iterator[str]:
    """Every exception that a lesson or a guide proves is explained among the pitfalls.

    Exercises and reference pages prove the messages of this package, each of which says what to do.
    """
    docs = repository.docs
    pages = [docs / "index.md", docs / "upgrading.md", *docs.glob("lessons/*.md"), *docs.glob("coming-from/*.md")]
    known = [entry for entry in entries(repository.root / PAGE) if entry.is_error]
    for block, error in proved(tuple(block for page in pages for block in read(page))):
        if not any(entry.covers(error) for entry in known):
            yield f"{block}: {PAGE} does not explain `{error}`. What to do: write an entry for it there."


def entries_lead_to_proofs(repository: Repository) -> Iterator[str]:
    """Every entry links to a section that holds a block, and that of an error to one that raises it."""
    for entry in entries(repository.root / PAGE):
        yield from (f"{PAGE}#{entry.anchor}: {complaint}" for complaint in _unproved(entry, repository.docs))


def entries_stand_once(repository: Repository) -> Iterator[str]:
    """No two entries have one title or one anchor."""
    names = Counter(name for entry in entries(repository.root / PAGE) for name in (entry.title, entry.anchor))
    for name in (name for name, times in names.items() if times > 1):
        yield f"{PAGE}: `{name}` stands there {names[name]} times. What to do: join the entries, or name them apart."


def _unproved(entry: Entry, docs: Path) -> Iterator[str]:
    if not entry.proofs:
        yield "it links to no proof. What to do: link to the heading below it, `lessons/SLUG.md#heading`."
    blocks = {f"{page}#{anchor}": _below(docs / page, anchor) for page, anchor in entry.proofs}
    for place in (place for place, found in blocks.items() if not found):
        yield f"below {place} there is no block. What to do: mend the link."
    texts = [error for found in blocks.values() for _, error in proved(found)]
    if entry.is_error and blocks and all(blocks.values()) and not any(map(entry.covers, texts)):
        yield f"no section that it links to raises it, only {texts}. What to do: link to one that does."


def _below(page: Path, anchor: str) -> tuple[Block, ...]:
    return section(page, anchor) if page.exists() else ()
