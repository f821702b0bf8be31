"""What grading finds in an attempt."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that an attempt does otherwise than the problem asks.

    Attributes:
        kind: what it is, such as `array`; with `about` it names a diagnosis.
        about: the name in the attempt that it was found of, such as `count`; empty for the attempt as a whole.
        seen: what there is, in a few words.
        expected: what should be there, in a few words.
        line: the line of the attempt that it comes from, counted from 1, if one is known.
        measured: one sentence that says what the mistake did in a run, with numbers.
    """

    kind: str
    about: str = ""
    seen: str = ""
    expected: str = ""
    line: int | None = None
    measured: str = ""

    @property
    def name(self) -> str:
        """Return the name of its diagnosis."""
        return f"{self.about}-{self.kind}" if self.about else self.kind


def told(error: BaseException, most: int = 160) -> str:
    """Return the type of an error and the first line of what it says, at most so many characters of that."""
    said = next(iter(str(error).strip().splitlines()), "")[:most].rstrip()
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
