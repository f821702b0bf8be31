"""Grade an attempt: run it in a process of its own, with limits, and choose the diagnosis. Nothing here imports JAX.

It is a safety net for one's own code, not a sandbox for strangers': the process may read and write what its user may.
"""

import ast
import re
import signal
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from nnx_state import _files, _reading
from nnx_state._reading import Source
from nnx_state._stacks import unescaped
from nnx_state.practice import channel, limits, scratch
from nnx_state.practice.channel import Question, Record
from nnx_state.practice.exercises import Diagnosis, Exercise
from nnx_state.practice.findings import Finding
from nnx_state.practice.lines import unfinished_line
from nnx_state.practice.running import Ran, Runner, run

LIMIT = 30.0  # seconds that one attempt may compute, or wait at one time
SHOWN = 2000  # characters of what an attempt printed, from its end
CHECK_FAILED = "check-failed"
NOT_REACHED = "not-reached"
NO_FAULT = {CHECK_FAILED, NOT_REACHED, limits.LASTED}  # the kinds of findings that need be no fault of the attempt


@dataclass(frozen=True)
class Diagnosed:
    """A finding, and what is said of it."""

    finding: Finding
    diagnosis: Diagnosis


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        exercise: the exercise.
        source: the attempt as it was read.
        found: what was found, the root first; nothing if the attempt is right.
        printed: the end of what the attempt printed.
        seconds: how long the check took.
    """

    exercise: Exercise
    source: Source
    found: tuple[Diagnosed, ...]
    printed: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Tell whether the attempt is right."""
        return not self.found

    @property
    def undecided(self) -> bool:
        """Tell whether a check failed by itself, or the time was over, before any fault was found."""
        return bool(self.found) and self.found[0].finding.kind in NO_FAULT


def grade(exercise: Exercise, path: Path, limit: float = LIMIT, runner: Runner | None = None) -> Report:
    """Return what is found in an attempt, the root first.

    Args:
        exercise: what the attempt is for.
        path: the attempt.
        limit: how long it may compute, or wait at one time, in seconds.
        runner: what runs it; by default a new Python.

    Raises:
        RefusedError: If there is no such file, it is not a text of at most a million bytes, or nothing can be run.
    """
    return _graded(exercise, _reading.attempt(path), limit, runner)


def grade_source(exercise: Exercise, text: str, limit: float = LIMIT, runner: Runner | None = None) -> Report:
    """Return what is found in a text, as if it were a learner's file.

    Args:
        exercise: what the attempt is for.
        text: the text.
        limit: how long it may compute, or wait at one time, in seconds.
        runner: what runs it; by default a new Python.
    """
    return _graded(exercise, Source(Path(exercise.filename), text), limit, runner)


def _graded(exercise: Exercise, source: Source, limit: float, runner: Runner | None) -> Report:
    start = time.monotonic()
    printed = ""
    findings = _before_running(exercise, source.text)
    if not findings:
        path = str(_files.absolute(source.path))
        with scratch.folder() as folder:
            with _files.refusing(f"{folder} cannot be written", scratch.ADVICE):
                (folder / "work").mkdir()
            question = Question(exercise.module, path, source.text, str(folder), limit)
            ran = (runner or run)(question)
        printed = ran.printed.decode("utf-8", errors="replace")[-SHOWN:]
        findings = _found(channel.record(ran.told, question.word), ran, source.text, path)
    found = tuple(Diagnosed(finding, exercise.diagnosis(finding.kind, finding.about)) for finding in findings)
    return Report(exercise, source, found, printed, time.monotonic() - start)


def _before_running(exercise: Exercise, text: str) -> list[Finding]:
    if "\0" in text:
        return [Finding("syntax", seen="a null byte", expected="text", line=text[: text.index("\0")].count("\n") + 1)]
    try:
        tree = _parsed(text)
    except SyntaxError as error:
        return [Finding("syntax", seen=f"{type(error).__name__}: {error.msg}", line=error.lineno)]
    except (RecursionError, MemoryError):
        return [Finding("syntax", seen="code that is nested too deeply")]
    if not tree.body or _is_same(tree, _parsed(exercise.starter)):
        return [Finding("not-started", seen="the starter" if tree.body else "an empty file")]
    return []


def _parsed(text: str) -> ast.Module:
    """Return the syntax of a text; what Python would warn of is told where the attempt runs, and nowhere else."""
    with warnings.catch_warnings(action="ignore"):
        return ast.parse(text)


def _is_same(one: ast.Module, other: ast.Module) -> bool:
    """Tell whether two programs are written alike, but for spaces and comments."""
    try:
        return ast.dump(one) == ast.dump(other)
    except (RecursionError, ValueError):  # it is nested too deeply, or has a number too long, to be written down
        return False


def _found(record: Record, ran: Ran, text: str, path: str) -> list[Finding]:
    """Return what a run has found: the faults of the attempt first, before them a function without a body.

    Where there is no fault, a function without a body may be as it should be, such as one that is overloaded. It is
    told after a check that failed, since it may be why.
    """
    findings = [*record.findings, *_unended(record, ran.code, path)]
    findings.sort(key=lambda finding: finding.kind in NO_FAULT)
    kinds = {finding.kind for finding in findings}
    line = unfinished_line(_parsed(text))
    if findings and line and kinds.isdisjoint({"unfinished", "patched", NOT_REACHED}):
        place = len(findings) if kinds <= NO_FAULT else 0
        findings.insert(place, Finding("unfinished", seen="a function without a body", expected="its code", line=line))
    return findings


def _unended(record: Record, code: int | None, path: str) -> list[Finding]:
    """Return a finding if the graded process did not reach its end."""
    if record.done:
        return []
    where = f"in the stage {record.stage.strip('_')}" if record.stage else "before the first stage"
    if record.over or code is None or "Timeout (" in record.rest:  # which is what Python writes
        if not record.stage:
            return [Finding(NOT_REACHED, seen="JAX was still being imported at the limit", expected="a start")]
        kind = {limits.WAITED: "waiting", limits.LASTED: limits.LASTED}.get(record.over.get("why", ""), "timeout")
        seen = f"still running {where}"
        if record.over:
            seen += " after {lasted:.0f} s, in which it computed for {computed:.0f} s".format(**record.over)
        return [Finding(kind, seen=seen, expected="an end", line=_stuck(record.rest, path))]
    signals = {int(one): one.name for one in signal.Signals}  # some have a number alone
    how = f"signal {signals.get(-code, -code)}" if code < 0 else f"exit code {code}"
    return [Finding("crashed", seen=f"{how} {where}", expected="a result")]


def _stuck(stack: str, path: str) -> int | None:
    """Return the line of the attempt that was running at the limit, in its first thread if that was there."""
    for thread in reversed(unescaped(stack).split("\n\n")):
        if found := re.search(rf'File "{re.escape(path)}", line (\d+)', thread):
            return int(found[1])
    return None
