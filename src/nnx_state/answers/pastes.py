"""What was raised or warned of in a paste: each class with its message, and the frames that stand around it."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from nnx_state.answers.texts import squeezed

MARKS = ("Error", "Exception", "Warning")
FIRST, LAST = 50, 150  # of each mark, so many from the start of a paste and so many from its end are looked at
MESSAGE, FRAMES, AFTER = 3000, 20_000, 400  # characters
LINES, PREFIX = 40, 200  # lines of a message, and characters before each of them, that are looked at
SHOWN = 300  # characters
_NAME = re.compile(r"[A-Za-z0-9_.]{1,200}\Z")
_BOUNDARY = re.compile(
    r"Traceback \(most recent|During handling of|The above exception|The stack trace below|The preceding |"
    r"[A-Za-z0-9_.]{0,200}(?:Error|Exception|Warning): "
)
_DIGIT = re.compile(r"[0-9]")


@dataclass(frozen=True)
class Raised:
    """One exception or warning of a paste.

    Attributes:
        name: its class, without the module.
        shown: its first line, from the class on.
        message: its text, squeezed.
        first: the first line of its text, squeezed.
        surroundings: the frames and the source that stand around it.
        is_last: nothing follows, so that the text may have been cut off.
    """

    name: str
    shown: str
    message: str
    first: str
    surroundings: str
    is_last: bool

    @functools.cached_property
    def around(self) -> str:
        """Return what stands around it, squeezed."""
        return squeezed(self.surroundings)

    @property
    def is_warning(self) -> bool:
        """Tell a warning from an exception."""
        return self.name.endswith("Warning")


def raised(text: str) -> Iterator[Raised]:
    """Yield what was raised or warned of in a cleaned paste, from the top: a cause stands above its effect."""
    before, finish = 0, len(text.rstrip(" \n"))
    for start, end in _heads(text):
        yield _raised(text, before, start, end, finish)
        before = end


def _heads(text: str) -> list[tuple[int, int]]:
    """Return where the name of a class begins, and where it ends, for each that has a message.

    Before the last that pytest marks, errors without a mark are lines of the source that it shows, such as docstrings.
    """
    found = {}
    for mark in MARKS:
        for place in _places(text, mark):
            end = place + len(mark)
            follows = text[end : end + 2]
            if follows and follows[0] not in ":\n" and follows not in ("('", '("'):
                continue
            name = _NAME.search(text[max(0, end - 200) : end])
            start = end - len(name[0]) if name else place
            if not text[max(0, start - 7) : start].endswith(("except ", "raise ")):
                found[end] = start
    last = max((end for end, start in found.items() if _is_marked(text, start)), default=0)
    return [
        (start, end)
        for end, start in sorted(found.items())
        if end >= last or _is_marked(text, start) or text[start:end].endswith("Warning")
    ]


def _is_marked(text: str, start: int) -> bool:
    """Tell whether pytest says of a class that it was raised: an E stands before it."""
    before = text[max(0, start - PREFIX) : start]
    mark = before.rstrip(" ")
    return mark != before and (mark == "E" or mark.endswith(("\nE", " E")))


def _places(text: str, mark: str) -> set[int]:
    """Return where a mark stands: the first places and the last."""
    places: set[int] = set()
    place = -1
    while len(places) < FIRST and (place := text.find(mark, place + 1)) >= 0:
        places.add(place)
    last: list[int] = []
    place = len(text)
    while len(last) < LAST and (place := text.rfind(mark, 0, place)) >= 0:
        last.append(place)
    return places.union(last)


def _raised(text: str, before: int, start: int, end: int, finish: int) -> Raised:
    line = text.rfind("\n", 0, start) + 1
    first, *others = text[end : end + MESSAGE].split("\n")[:LINES]
    first = first.removeprefix(":").removeprefix("(")
    message, length = [first], len(first)
    for other in others:
        rest = _without(text[line:start], other)
        if _BOUNDARY.match(rest.lstrip(" ")):
            break
        message.append(rest)
        length += len(other) + 1
    after = text[end + length : end + length + AFTER]
    surroundings = text[max(before, start - FRAMES) : end + length] + after.partition("Traceback (most recent")[0]
    return Raised(
        name=text[start:end].rpartition(".")[2],
        shown=f"{text[start:end]}: {first.strip(' ')}"[:SHOWN],
        message=squeezed("".join(message)),
        first=squeezed(first),
        surroundings=surroundings,
        is_last=end + length >= finish,
    )


def _without(prefix: str, line: str) -> str:
    """Return a line without what stood before the name of the class, digits aside: a worker, a time, a mark."""
    shape = prefix.rstrip(" ")
    if 0 < len(shape) <= PREFIX and _DIGIT.sub("0", line[: len(shape)]) == _DIGIT.sub("0", shape):
        return line[len(shape) :]
    return line
