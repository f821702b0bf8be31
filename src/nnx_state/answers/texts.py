r"""Texts as they are compared: without what a terminal, a shell or a log changes about them.

`docs/assets/matcher.js` says the same in JavaScript, function by function. Patterns name their characters one by one,
since `\s` and `\w` are other sets there, and none of them can backtrack.
"""

import re
from dataclasses import dataclass

LONGEST = 1_000_000  # characters; of more than these, the first fifth and the last four fifths are read
_COLOURS = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b?\[[0-9;]{0,16}m|\x1b\[[0-9;?]{0,16}[A-Za-z]")
_DROPPED = dict.fromkeys(map(ord, " \t\n\r\f\v\u00a0\u200b'\"`\u2018\u2019\u201c\u201d"))
SHARED = 4  # characters by which a text that was cut off has to reach into the next part that is given
ANY = "…"  # in a template: whatever stands there


def clean(pasted: str) -> str:
    """Return what was pasted in lines that end with a line feed, without colours."""
    if len(pasted) > LONGEST:
        pasted = f"{pasted[: LONGEST // 5]}\n{pasted[-LONGEST * 4 // 5 :]}"
    return _COLOURS.sub("", pasted.replace("\r\n", "\n").replace("\r", "\n"))


def squeezed(text: str) -> str:
    """Return a text without spaces, line ends and quotation marks: a terminal wraps lines, a log quotes them."""
    return text.translate(_DROPPED)


@dataclass(frozen=True)
class Template:
    """An error text of which parts vary.

    Attributes:
        name: the class of the exception; `…Error` is any class whose name ends so.
        parts: what stands between the parts that vary, squeezed.
    """

    name: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Template":
        """Return the template of a text such as `ValueError: Type … is not registered`."""
        name, _, message = text.partition(":")
        return cls(name.strip(), tuple(squeezed(message).split(ANY)))

    @property
    def weight(self) -> int:
        """Return how many characters of it are given: of two templates that fit, the heavier says more."""
        return sum(map(len, self.parts))

    def is_of(self, name: str) -> bool:
        """Tell whether an exception of this class may have the text."""
        return name.endswith(self.name.removeprefix(ANY)) if self.name.startswith(ANY) else name == self.name

    def fits(self, message: str) -> bool:
        """Tell whether a message, squeezed, begins with the text."""
        return self._reached(message) is None

    def fits_as_far_as(self, message: str, elided: bool) -> int:
        """Return how many given characters a message that was cut off has in common with the text; 0 if it differs.

        Args:
            message: what is left of it, squeezed.
            elided: it says so itself, so that it may end in a part that varies.
        """
        reached = self._reached(message, elided)
        return self.weight if reached is None else reached

    def stands_in(self, text: str) -> bool:
        """Tell whether a text, squeezed, holds all that is given, in its order, without the class."""
        place = 0
        for part in self.parts:
            if (found := text.find(part, place)) < 0:
                return False
            place = found + len(part)
        return True

    def _reached(self, message: str, elided: bool = False) -> int | None:
        """Return None where the message has all parts; else how many given characters it ends after, or 0."""
        first, *others = self.parts
        if not message.startswith(first):
            return len(message) if first.startswith(message) else 0
        place = count = len(first)
        for part in others:
            found = message.find(part, place)
            if found < 0:
                common = _overlap(message[place:], part)
                return count + common if common >= SHARED or elided else 0
            place, count = found + len(part), count + len(part)
        return None


def _overlap(text: str, part: str) -> int:
    """Return the length of the longest end of a text with which a part begins."""
    longest = min(len(text), len(part) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(part[:size])), 0)
