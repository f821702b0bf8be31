"""Hold what the matcher says of recorded pastes against what they are: ``pastes -- --figures``."""

import functools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from nnx_state.answers import Answer, answer
from nnx_state.answers.entries import Entry, load
from nnx_state.answers.matcher import AMONG
from workshop.site.tree import ROOT

RECORDED = ROOT / "tests" / "answers" / "pastes"
FOREIGN = "foreign"  # the file of the pastes that have nothing to do with NNX


@dataclass(frozen=True)
class Paste:
    """What a terminal showed, and what it is.

    Attributes:
        file: where it is recorded: the release and the filtering of JAX, or `foreign`.
        anchor: of the entry that explains it, or of the one cause; a foreign paste has none.
        shape: of `workshop.pastes.SHAPES`.
        text: all that was shown.
    """

    file: str
    anchor: str
    shape: str
    text: str

    @property
    def entry(self) -> Entry:
        """Return the entry that explains it."""
        return _holders()[self.anchor]

    def first(self, given: Answer, guessed: bool = False) -> str:
        """Return the anchor of the entry that an answer names first, or `unknown`; a guess counts where it may."""
        named = given.found or (given.guesses if guessed else ())
        return _holders()[named[0].anchor].anchor if named else "unknown"

    def is_among(self, given: Answer) -> bool:
        """Tell whether an answer names it, and no more than a reader can try."""
        return len(given.found) <= AMONG and self.anchor in [found.anchor for found in given.found]


@functools.cache
def _holders() -> dict[str, Entry]:
    return {part.anchor: entry for entry in load().listed for part in (entry, *entry.causes)}


def recorded(foreign: bool = False) -> Iterator[Paste]:
    """Yield the pastes of entries, or those that have nothing to do with NNX."""
    for file in sorted(RECORDED.glob("*.json")):
        if (file.stem == FOREIGN) == foreign:
            for pastes in json.loads(file.read_text("utf-8")).values():
                yield from (Paste(file=file.stem, **paste) for paste in pastes)


def figures() -> Iterator[str]:
    """Yield the lines of a table: a row for each file, and below it every paste that is answered otherwise."""
    yield f"{'recorded with':<16}{'entries':>8}{'pastes':>8}{'first right':>13}{'one of causes':>15}{'named':>7}"
    wrong: Counter[str] = Counter()
    every = list(recorded())
    for file in sorted({paste.file for paste in every}):
        here = [paste for paste in every if paste.file == file]
        given = [(paste, answer(paste.text)) for paste in here]  # two programs may have shown the same
        right = sum(paste.first(said) == paste.entry.anchor for paste, said in given)
        several = [(paste, said) for paste, said in given if paste.entry.causes]
        named = sum(paste.is_among(said) for paste, said in several)
        entries = len({paste.entry.anchor for paste in here})
        yield f"{file:<16}{entries:>8}{len(here):>8}{right:>13}{len(several):>15}{named:>7}"
        wrong.update(
            f"{paste.anchor} is answered by {paste.first(said)}"
            for paste, said in given
            if paste.first(said) != paste.entry.anchor or (paste.entry.causes and not paste.is_among(said))
        )
    foreign = [paste.text for paste in recorded(foreign=True)]
    yield f"{FOREIGN:<16}{len(foreign):>16} pastes, of which {sum(answer(text).is_known for text in foreign)} answered"
    yield from (f"{line}: {times} times" for line, times in wrong.most_common())
