"""What grading finds in an attempt, and how the two processes tell each other."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


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


class Record:
    """The file in which the graded process notes what it does, line by line, so that a crash loses nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, **entry: Any) -> None:
        """Append one entry and hand it to the operating system."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def found(self, finding: Finding) -> None:
        """Append a finding."""
        self.note(finding=asdict(finding))

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries that are whole."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text("utf-8", errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:  # the process ended while it wrote
                break
        return found

    def findings(self) -> list[Finding]:
        """Return the findings among the entries."""
        return [Finding(**entry["finding"]) for entry in self.entries() if "finding" in entry]


def told(error: BaseException, most: int = 160) -> str:
    """Return the type of an error and the first line of what it says, at most so many characters of that."""
    said = next(iter(str(error).strip().splitlines()), "")[:most]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
