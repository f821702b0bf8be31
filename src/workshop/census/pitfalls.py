"""Every exception that a page proves leads to a cause and a fix, and every such entry leads to a proof."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from nnx_state.answers.matcher import AMONG
from workshop.census.repository import Repository
from workshop.pages import Block, read
from workshop.pitfalls import FOLDER, Entry, entries, proved, section

TEACHES = re.compile(r"\]\(\.\./(?:lessons/|coming-from/|upgrading\.md|cheat-sheet\.md)|<!-- no lesson: .+ -->")


def exceptions_have_entries(repository: Repository) -> Iterator[str]:
    """Every exception that a lesson or a guide proves is explained among the pitfalls.

    Exercises and reference pages prove the messages of this package, each of which says what to do.
    """
    docs = repository.docs
    pages = [docs / "index.md", docs / "upgrading.md", *docs.glob("lessons/*.md"), *docs.glob("coming-from/*.md")]
    known = [entry for entry in entries(repository.root / FOLDER) if entry.is_error]
    for block, error in proved(tuple(block for page in pages for block in read(page))):
        if not any(entry.covers(error) for entry in known):
            yield f"{block}: {FOLDER} does not explain `{error}`. What to do: write an entry for it there."


def entries_lead_to_proofs(repository: Repository) -> Iterator[str]:
    """Every entry shows a program or links to a section that holds one, and that of an error to one that raises it."""
    for entry in entries(repository.root / FOLDER):
        place = f"{repository.name(entry.page)}#{entry.anchor}"
        yield from (f"{place}: {complaint}" for complaint in _unproved(entry, repository.docs))


def entries_stand_once(repository: Repository) -> Iterator[str]:
    """No two entries have one title, and no two entries or causes one anchor."""
    found = entries(repository.root / FOLDER)
    titles = (entry.title for entry in found)
    anchors = (part.anchor for entry in found for part in (entry, *entry.causes))
    for name, times in [*Counter(titles).items(), *Counter(anchors).items()]:
        if times > 1:
            yield f"{FOLDER}: `{name}` stands there {times} times. What to do: join the entries, or name them apart."


def causes_are_asked_for(repository: Repository) -> Iterator[str]:
    """An entry with several causes asks the question that tells them apart; of many, each is told by its text."""
    for entry in entries(repository.root / FOLDER):
        place = f"{repository.name(entry.page)}#{entry.anchor}"
        if len(entry.causes) > 1 and not entry.question:
            yield f"{place}: nothing tells its causes apart. What to do: write `**Which one?**` and the question."
        if entry.question and len(entry.causes) < 2:
            yield f"{place}: it asks which one, and has no causes. What to do: give each a heading, `#### …`."
        if len(entry.causes) > AMONG and not all(cause.told for cause in entry.causes):
            yield (
                f"{place}: it has {len(entry.causes)} causes, of which an answer names {AMONG}. "
                "What to do: write below each what tells it, `<!-- told by: … -->`, or join causes."
            )


def entries_name_their_lesson(repository: Repository) -> Iterator[str]:
    """Every entry links to the lesson or the guide that teaches what it is about, or says why there is none."""
    for entry in entries(repository.root / FOLDER):
        if not TEACHES.search(entry.whole):
            yield (
                f"{repository.name(entry.page)}#{entry.anchor}: it names no lesson. What to do: write "
                "`**Lesson.**` and the link, or why there is none, `<!-- no lesson: … -->`."
            )


def _unproved(entry: Entry, docs: Path) -> Iterator[str]:
    if not (entry.proofs or entry.blocks):
        yield "it shows no program, and links to none. What to do: write one, or link to a section of a lesson."
    linked = {f"{page}#{anchor}": _below(docs / page, anchor) for page, anchor in entry.proofs}
    for place in (place for place, found in linked.items() if not found and not entry.blocks):
        yield f"below {place} there is no block. What to do: mend the link."
    found = [entry.blocks, *linked.values()]
    texts = [error for blocks in found for _, error in proved(blocks)]
    if entry.is_error and any(found) and all(linked.values()) and not any(map(entry.covers, texts)):
        yield f"nothing that it shows or links to raises it, only {texts}. What to do: link to what does."


def _below(page: Path, anchor: str) -> tuple[Block, ...]:
    return section(page, anchor) if page.exists() else ()
