"""What an audit finds, and which of it one change mends."""

import textwrap
from dataclasses import dataclass
from typing import Any

from nnx_state import _addresses
from nnx_state.audit.lines import Place
from nnx_state.audit.rules import RULES
from nnx_state.audit.rules.base import named

WIDTH = 66  # columns of a report in text: as much as a page shows without scrolling


@dataclass(frozen=True)
class Finding:
    """One thing that is not right with a model.

    Attributes:
        rule: the id of the rule, which is also the name of its page.
        severity: `"error"`, `"warning"` or `"note"`.
        path: the path of the value, such as `layers.0.kernel`.
        what: what it is, and what that does to this model.
        write: what to write in its place.
        place: the file and line that made it, or None where no line of a class did.
    """

    rule: str
    severity: str
    path: str
    what: str
    write: str
    place: Place | None

    def data(self) -> dict[str, Any]:
        """Return it for programs, in types of JSON."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "path": self.path,
            "what": self.what,
            "write": self.write,
            "file": self.place.shown if self.place else None,
            "line": self.place.line if self.place else None,
            "read": _addresses.address(f"audit/{self.rule}.md", _addresses.site()),
        }

    def __str__(self) -> str:
        return told([self])


def by_cause(findings: list[Finding]) -> list[list[Finding]]:
    """Group the findings that one change mends: those of one line, or of one optimizer or save."""
    causes: dict[tuple[Any, ...], list[Finding]] = {}
    for one in findings:
        is_of_a_line = RULES[one.rule].needs in ("", "inputs")
        causes.setdefault((one.rule, one.write, is_of_a_line and (one.place or one.path)), []).append(one)
    return [*causes.values()]


def others(cause: list[Finding]) -> str:
    """Name the values of a cause but the first, for a sentence; nothing where there is one."""
    return f"Also found: {named(one.path for one in cause[1:])}." if cause[1:] else ""


def told(findings: list[Finding]) -> str:
    """Return findings as text, in paragraphs: one for each cause."""
    return "\n\n".join(map(_paragraph, by_cause(findings)))


def counted(count: int, noun: str) -> str:
    """Return a number of things, such as `1 finding` or `2 findings`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _paragraph(cause: list[Finding]) -> str:
    one = cause[0]
    where = f"{one.place}: " if one.place else ""
    head = f"{where}{one.severity} [{one.rule}] {one.path}".strip()
    lines = [one.what, others(cause), f"Write {one.write}"]
    return "\n".join([_wrapped(head, ""), *(_wrapped(line, "    ") for line in lines if line)])


def _wrapped(line: str, indent: str) -> str:
    return textwrap.fill(line, WIDTH, initial_indent=indent, subsequent_indent="    ", break_on_hyphens=False)
