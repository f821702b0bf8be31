"""Decide what a paste is: this entry, one of these causes, or nothing that the site knows.

A guess is never told as an answer: what is nearest is named as `guesses`, and the verdict stays `unknown`.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from nnx_state.answers import words
from nnx_state.answers.entries import Cause, Entries, Entry, load
from nnx_state.answers.pastes import Raised, raised
from nnx_state.answers.texts import clean, squeezed

ENTRY, CAUSES, UNKNOWN = "entry", "causes", "unknown"
ENOUGH = 20  # given characters of a text that was cut off, or that stands there without its class
SHORT = 20_000  # characters of a paste in which texts are looked for without their classes
AMONG = 3  # causes or guesses that are named at most


@dataclass(frozen=True)
class Found:
    """A place that is named in an answer.

    Attributes:
        title: the heading of the entry, or of one of its causes.
        page: the page of the entry, such as `reading-writing`.
        anchor: the id of the heading.
    """

    title: str
    page: str
    anchor: str

    @property
    def place(self) -> str:
        """Return its page and anchor inside docs."""
        return f"pitfalls/{self.page}.md#{self.anchor}"


@dataclass(frozen=True)
class Answer:
    """What a paste is.

    Attributes:
        verdict: `entry`, `causes` or `unknown`.
        shown: the line of the paste that decided, or that is not known.
        found: the entry, or its causes with the likeliest first; none where nothing is known.
        question: what tells the causes apart.
        also: entries of what else the paste shows.
        guesses: what is nearest where nothing is known.
    """

    verdict: str
    shown: str = ""
    found: tuple[Found, ...] = ()
    question: str = ""
    also: tuple[Found, ...] = ()
    guesses: tuple[Found, ...] = ()

    @property
    def is_known(self) -> bool:
        """Tell whether the site knows it."""
        return self.verdict != UNKNOWN

    def data(self) -> dict[str, Any]:
        """Return the same for programs."""
        return asdict(self)


@dataclass(frozen=True)
class _Hit:
    """The entries that one exception leads to: those that the paste shows, or else those that it may be."""

    one: Raised
    entries: tuple[Entry, ...]
    is_shown: bool


def answer(pasted: str, entries: Entries | None = None) -> Answer:
    """Return what a paste is: a traceback with whatever is around it, a warning, one line, or a symptom in words.

    Args:
        pasted: anything; of more than a million characters, the first and the last are read.
        entries: what is known; by default the entries that are installed.
    """
    entries = entries or load()
    text = clean(pasted)
    every = list(raised(text))
    errors = [one for one in every if not one.is_warning]
    hits = list(_hits(every, entries))
    known = [hit for hit in hits if hit.is_shown]
    leading = [hit for hit in known if not hit.one.is_warning] or (known if not errors else [])
    if leading:
        return _answered(leading[0], [hit for hit in known if hit is not leading[0]])
    if not known and 0 < len(whole := list(_without_class(text, entries))) <= AMONG:
        return _answered(_Hit(_nothing(text), tuple(whole), True), [])
    told = errors or every
    maybe = [entry for hit in hits if not hit.is_shown for entry in hit.entries]
    also = _distinct(entry for hit in known for entry in hit.entries)
    if told:
        near = maybe or words.nearest(told[-1].shown, entries)
        return Answer(UNKNOWN, told[-1].shown, also=also, guesses=_distinct(near))
    return _in_words(text, entries)


def _hits(every: list[Raised], entries: Entries) -> Iterator[_Hit]:
    for one in every:
        for fitting in (_whole(one, entries), _cut(one, entries)):
            shown = [entry for entry in fitting if entry.is_told(one.around)]
            if fitting and len(shown or fitting) <= AMONG:
                yield _Hit(one, tuple(shown or fitting), bool(shown))
                break


def _whole(one: Raised, entries: Entries) -> list[Entry]:
    """Return the entries with the heaviest template that fits."""
    fitting = [(template.weight, entry) for template, entry in entries.of_class(one.name) if template.fits(one.message)]
    heaviest = max((weight for weight, _ in fitting), default=0)
    return _once(entry for weight, entry in fitting if weight == heaviest)


def _cut(one: Raised, entries: Entries) -> list[Entry]:
    """Return the entries of which the exception shows the beginning, where its text was cut off."""
    ends = {one.first, one.message} if one.is_last else {one.first}
    cut = [(end.rstrip(".…"), end.endswith(("...", "…"))) for end in ends]
    return _once(
        entry
        for template, entry in entries.of_class(one.name)
        if any(template.fits_as_far_as(end, elided) >= ENOUGH for end, elided in cut)
    )


def _without_class(text: str, entries: Entries) -> Iterator[Entry]:
    """Yield the entries of which a text stands there without its class, or is there in part and nothing else is."""
    if len(text) > SHORT:
        return
    small = squeezed(text)
    for entry in (entry for entry in entries.listed if not entry.told):
        for template in entry.templates:
            longest = max(template.parts, key=len)
            is_part = len(small) >= ENOUGH and small in longest
            if is_part or (len(longest) >= ENOUGH and template.stands_in(small)):
                yield entry
                break


def _nothing(text: str) -> Raised:
    line = text.strip(" \n").split("\n")[-1]
    return Raised("", line[:200], squeezed(text), squeezed(line), text, True)


def _answered(hit: _Hit, others: list[_Hit]) -> Answer:
    also = _distinct(entry for other in others for entry in other.entries if entry not in hit.entries)
    shown, entries = hit.one.shown, hit.entries
    if len(entries) > 1:
        return Answer(CAUSES, shown, _distinct(entries[:AMONG]), "", also)
    (entry,) = entries
    if not entry.causes:
        return Answer(ENTRY, shown, _distinct(entries), "", also)
    told = [cause for cause in entry.causes if cause.told and cause.is_told(hit.one.around)]
    ordered = told + [cause for cause in entry.causes if cause not in told]
    return Answer(CAUSES, shown, tuple(_found(cause, entry) for cause in ordered[:AMONG]), entry.question, also)


def _in_words(text: str, entries: Entries) -> Answer:
    """Return the symptom that someone describes."""
    asked = text.strip(" \n")
    near = words.ranked(asked, entries)[:AMONG]
    named = [entry for _, entry in near]
    if near and near[0][0] >= words.SURE:
        return Answer(ENTRY, asked[:200], _distinct(named[:1]), "", _distinct(named[1:]))
    return Answer(UNKNOWN, asked[:200], guesses=_distinct(named))


def _found(cause: Cause, entry: Entry) -> Found:
    return Found(cause.title, entry.page, cause.anchor)


def _once(entries: Iterator[Entry]) -> list[Entry]:
    return list(dict.fromkeys(entries))


def _distinct(entries: Any) -> tuple[Found, ...]:
    return tuple(_found(entry, entry) for entry in dict.fromkeys(entries))[:AMONG]
