"""Draft the entry of an attempt from its program, in the form that `nnx_state.practice.attempts` reads."""

import difflib

from nnx_state._outcome import RefusedError
from nnx_state.practice.attempts import DASHES, PROOF, SPELLING
from nnx_state.practice.changes import NEXT_PLACE, positions
from nnx_state.practice.exercises import Exercise, common_diagnoses
from nnx_state.practice.findings import Finding
from nnx_state.practice.grading import Report

MOST = 2 / 3  # of the lines of a program; with more lines of changes it is another program altogether
QUOTES = "'''"
WORDS = """\
headline = ""
why = ""
next = ""
lesson = "lessons/{slug}.md"
"""

Change = tuple[int, int, list[str]]  # the first old line, the one after the last, and what comes into their place
Place = tuple[int, int, list[Change]]  # the first line that is shown, the one after the last, and the changes inside


def entry(report: Report, spelling: str = "") -> str:
    """Return what an author writes, and where, to keep an attempt that was graded.

    Args:
        report: what grading says of it.
        spelling: what tells it from other attempts with its diagnosis; for a right attempt, its name.

    Raises:
        RefusedError: If the exercise has that program or that name already, or a right attempt has no name.
    """
    one = report.exercise
    program = "".join(f"{line}\n" for line in report.source.text.splitlines())
    if same := [attempt.name for attempt in (*one.right.values(), *one.wrong.values()) if attempt.source == program]:
        raise RefusedError(f"{one.slug} has this program already, it is {same[0]}: edit it further.")
    if not report.passed:
        return _proof(one, program, report.found[0].finding, spelling)
    if not spelling:
        raise RefusedError("It passes. To keep it as a variant, name it: --spelling NAME")
    return _written(one, program, spelling, spelling, "variants", "variants.toml")


def drafted(old: str, new: str) -> str:
    """Return the lines of a diff: the fewest that tell each place of the old program from all others."""
    lines, others = old.splitlines(), new.splitlines()
    codes = difflib.SequenceMatcher(None, lines, others, autojunk=False).get_opcodes()
    changes = [(start, end, others[first:last]) for tag, start, end, first, last in codes if tag != "equal"]
    return f"{NEXT_PLACE}\n".join(_shown(lines, *place) for place in _places(lines, changes))


def _proof(one: Exercise, program: str, finding: Finding, spelling: str) -> str:
    """Return how to keep a wrong attempt below the words of its diagnosis; where these are missing, how to begin."""
    name, key = (f"{finding.name}{DASHES}{spelling}", f"{SPELLING}.{spelling}") if spelling else (finding.name, PROOF)
    if name in one.wrong:
        raise RefusedError(f"{one.slug} has a {name} already: name this one otherwise, --spelling NAME")
    if finding.name in one.entries:
        return _written(one, program, name, key, "mistakes", f"diagnoses.toml, at the end of [{finding.name}]")
    words = "" if finding.kind in common_diagnoses() else WORDS.format(slug=one.slug)
    return _written(one, program, name, key, "mistakes", "diagnoses.toml", f"[{finding.name}]\n{words}")


def _written(one: Exercise, program: str, name: str, key: str, folder: str, file: str, above: str = "") -> str:
    """Return an entry and the file that it belongs into, or that of a program which is another one altogether."""
    changes = drafted(one.solution, program)
    if changes.count("\n") > MOST * program.count("\n") or QUOTES in changes:
        return f"It is another program altogether: keep it as {one.module}/{folder}/{name}.py"
    return f"In {one.module}/{file}:\n\n{above}{key} = {QUOTES}\n{changes}{QUOTES}"


def _places(lines: list[str], changes: list[Change]) -> list[Place]:
    """Return the places in which lines change; two that touch are one."""
    places: list[Place] = []
    for start, end, new in changes:
        first, last = _span(lines, start, end)
        inside = [(start, end, new)]
        if places and first <= places[-1][1] + 1:  # the line between takes no more room than one that leads on
            before = places.pop()
            first, last, inside = min(before[0], first), max(before[1], last), [*before[2], *inside]
        places.append((first, last, inside))
    return places


def _span(lines: list[str], start: int, end: int) -> tuple[int, int]:
    """Return the fewest lines around some that stand in the program once, those above rather than those below."""
    for more in range(len(lines) + 1):
        for below in range(more + 1):
            first, last = start - more + below, end + below
            inside = first >= 0 and last <= len(lines)
            if inside and any(lines[first:last]) and len(positions(lines, lines[first:last])) == 1:
                return first, last
    raise AssertionError("the program as a whole stands there once")


def _shown(lines: list[str], first: int, last: int, changes: list[Change]) -> str:
    """Return the lines of a place, each with its mark."""
    shown = []
    for start, end, new in changes:
        shown += [f" {line}".rstrip() for line in lines[first:start]]
        shown += [f"-{line}" for line in lines[start:end]]
        shown += [f"+{line}" for line in new]
        first = end
    shown += [f" {line}".rstrip() for line in lines[first:last]]
    return "".join(f"{line}\n" for line in shown)
