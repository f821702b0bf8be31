"""What the verbs say, as Markdown: a terminal shows it with colours, a pipe gets it as it is."""

from typing import Any

from nnx_state import _addresses, _pages
from nnx_state.practice.exercises import Exercise
from nnx_state.practice.grading import NO_FAULT, Diagnosed, Report


def problem(exercise: Exercise) -> str:
    """Return what an exercise asks, for a terminal."""
    return f"## {exercise.title}\n\n{_pages.without_links(exercise.problem)}"


def text(report: Report) -> str:
    """Return what a check found."""
    name = report.source.path.name
    if report.passed:
        return f"**Passed.** `{name}` does all that {report.exercise.slug} asks ({report.seconds:.1f} s)."
    first, *others = report.found
    parts = [f"**{'No verdict' if report.undecided else 'Not yet'}.** {first.diagnosis.headline}"]
    if line := first.finding.line:
        parts.append(f"```python\n{name}:{line}: {report.source.line(line)}\n```")
    parts.append(_seen(first))
    why = f"{first.diagnosis.why} {first.finding.measured}".strip()
    parts += [f"Why it matters: {why}", f"Next: {first.diagnosis.next}"]
    if not report.undecided:
        parts.append(f"Read: {_addresses.reached(first.diagnosis.lesson)}")
    failed = [one for one in others if one.finding.kind in NO_FAULT]
    also = [one for one in others if one not in failed]
    if listed := "\n".join(f"- {_place(one)}{one.diagnosis.headline} {_short(one)}".rstrip() for one in also):
        parts.append(f"Also, and perhaps for the same reason:\n\n{listed}")
    parts += [f"{one.diagnosis.headline} {_short(one)} {one.diagnosis.next}" for one in failed]
    if report.printed.strip():
        parts.append(f"The file printed:\n\n```text\n{report.printed.strip()}\n```")
    return "\n\n".join(part for part in parts if part)


def data(report: Report) -> dict[str, Any]:
    """Return what a check found, for programs."""
    return {
        "exercise": report.exercise.slug,
        "file": str(report.source.path),
        "passed": report.passed,
        "undecided": report.undecided,
        "seconds": round(report.seconds, 2),
        "diagnoses": [
            {
                "name": one.finding.name,
                "headline": one.diagnosis.headline,
                "line": one.finding.line,
                "code": report.source.line(one.finding.line) if one.finding.line else "",
                "seen": one.finding.seen,
                "expected": one.finding.expected,
                "why": one.diagnosis.why,
                "measured": one.finding.measured,
                "next": one.diagnosis.next,
                "lesson": _addresses.address(one.diagnosis.lesson, _addresses.site()),
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
