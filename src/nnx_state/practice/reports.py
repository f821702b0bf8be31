"""What the verbs say, as Markdown: a terminal shows it with colours, a pipe gets it as it is."""

import os
import re
from typing import Any

from nnx_state import _addresses
from nnx_state.practice.exercises import Exercise
from nnx_state.practice.grading import Diagnosed, Report

_LINK = re.compile(r"\[([^\]]*)\]\((?:\.\./)?([^)]*)\)")


def without_links(markdown: str) -> str:
    """Return Markdown whose links are their texts, since they lead from page to page of the site."""
    return _LINK.sub(r"\1", markdown)


def problem(exercise: Exercise) -> str:
    """Return what an exercise asks, for a terminal."""
    return f"## {exercise.title}\n\n{without_links(exercise.problem)}"


def text(report: Report) -> str:
    """Return what a check found."""
    name = report.path.name
    if report.passed:
        return f"**Passed.** `{name}` does all that {report.exercise.slug} asks ({report.seconds:.1f} s)."
    first, *others = report.found
    parts = [f"**Not yet.** {first.diagnosis.headline}"]
    if line := first.finding.line:
        parts.append(f"```python\n{name}:{line}: {_line(report, line)}\n```")
    parts.append(_seen(first))
    why = f"{first.diagnosis.why} {first.finding.measured}".strip()
    parts += [f"Why it matters: {why}", f"Next: {first.diagnosis.next}", f"Read: {address(first.diagnosis.lesson)}"]
    if others:
        listed = "\n".join(f"- {_place(one)}{one.diagnosis.headline} {_short(one)}".rstrip() for one in others)
        parts.append(f"Also, and perhaps for the same reason:\n\n{listed}")
    if report.printed.strip():
        parts.append(f"The file printed:\n\n```text\n{report.printed.strip()}\n```")
    return "\n\n".join(part for part in parts if part)


def data(report: Report) -> dict[str, Any]:
    """Return what a check found, for programs."""
    return {
        "exercise": report.exercise.slug,
        "file": str(report.path),
        "passed": report.passed,
        "seconds": round(report.seconds, 2),
        "diagnoses": [
            {
                "name": one.finding.name,
                "headline": one.diagnosis.headline,
                "line": one.finding.line,
                "code": _line(report, one.finding.line) if one.finding.line else "",
                "seen": one.finding.seen,
                "expected": one.finding.expected,
                "why": one.diagnosis.why,
                "measured": one.finding.measured,
                "next": one.diagnosis.next,
                "lesson": address(one.diagnosis.lesson),
            }
            for one in report.found
        ],
        "printed": report.printed,
    }


def _seen(one: Diagnosed) -> str:
    seen = f"- Seen: {one.finding.seen}" if one.finding.seen else ""
    expected = f"- Expected: {one.finding.expected}" if one.finding.expected else ""
    return "\n".join(line for line in (seen, expected) if line)


def _place(one: Diagnosed) -> str:
    return f"line {one.finding.line}: " if one.finding.line else ""


def _short(one: Diagnosed) -> str:
    return f"({one.finding.seen})" if one.finding.seen else ""


def _line(report: Report, number: int) -> str:
    lines = report.source.splitlines()
    return lines[number - 1].strip() if number <= len(lines) else ""


def address(lesson: str) -> str:
    """Return the address of a lesson, after that of the site where the variable SITE_URL holds it."""
    return _addresses.address(lesson, os.environ.get("SITE_URL", ""))
