"""Find a symptom by the words of someone who has it."""

import functools
import math
import re

from nnx_state.answers.entries import Entries, Entry

SURE, POSSIBLE = 0.5, 0.3  # how alike a question and a phrase are: 1.0 where they hold the same words
LONGEST = 400  # characters of a question
_WORD = re.compile(r"[a-z0-9_]+")
_ENDINGS = ("ing", "ed", "es", "s", "e")
_COMMON_WORDS = "a an and are at be by for from i in is it its me my of on or so that the then there to was with"
_COMMON = frozenset(_WORD.findall(_COMMON_WORDS))


def ranked(asked: str, entries: Entries) -> list[tuple[float, Entry]]:
    """Return the entries whose words are like those of a question, each with how alike they are, the likest first."""
    table = _table(entries)
    wanted = _words(asked[:LONGEST])
    size = _size(wanted, table.weights)
    best: dict[str, tuple[float, int]] = {}  # how alike, and when that was found: the first of equals comes first
    turn = 0
    for phrase, anchors in table.phrases:
        both = [table.weights[word] for word in wanted if word in phrase]
        if not both or (len(both) == 1 < len(wanted)):  # one word of several says nothing
            continue
        alike = round(sum(both) / math.sqrt(size * _size(phrase, table.weights)), 6)
        for anchor in anchors:
            if alike > best.get(anchor, (0.0, 0))[0]:
                best[anchor] = (alike, turn)
            turn += 1
    found = [(alike, turn, entries.by_anchor[anchor]) for anchor, (alike, turn) in best.items() if alike >= POSSIBLE]
    return [(alike, entry) for alike, _, entry in sorted(found, key=lambda one: (-one[0], one[1]))]


def nearest(shown: str, entries: Entries) -> list[Entry]:
    """Return the entry that an unknown error text is most like, if it is like any."""
    return [entry for _, entry in ranked(shown, entries)[:1]]


class _Table:
    """The words of all phrases.

    Attributes:
        phrases: the words of each phrase, with the anchors of its entries.
        weights: how much each word says: a rare one says more.
    """

    def __init__(self, entries: Entries) -> None:
        # What has to be told by more than its text is not found by the words of that text either.
        titles = [(entry.title, (entry.anchor,)) for entry in entries.listed if not entry.told]
        self.phrases = [(_words(text), anchors) for text, anchors in [*titles, *entries.phrases]]
        times: dict[str, int] = {}
        for phrase, _ in self.phrases:
            for word in phrase:
                times[word] = times.get(word, 0) + 1
        self.weights = {word: math.log(1 + len(self.phrases) / count) for word, count in times.items()}


@functools.lru_cache(maxsize=2)
def _table(entries: Entries) -> _Table:
    return _Table(entries)


def _size(words: dict[str, None], weights: dict[str, float]) -> float:
    rarest = max(weights.values(), default=1.0)
    return sum(weights.get(word, rarest) for word in words)


def _words(text: str) -> dict[str, None]:
    """Return the words of a text without their endings, each once, in their order: sums are the same everywhere."""
    return dict.fromkeys(_stem(word) for word in _WORD.findall(text.lower()) if word not in _COMMON)


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) >= len(ending) + 3:
            return word[: -len(ending)]
    return word
