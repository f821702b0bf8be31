"""Grade an attempt: run it in a process of its own, with limits, and choose the diagnosis. Nothing here imports JAX.

It is a safety net for one's own code, not a sandbox for strangers': the process may read and write what its user may.
"""

import ast
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from nnx_state._stacks import unescaped
from nnx_state.practice import channel, files, reading, scratch
from nnx_state.practice.channel import Question, Record
from nnx_state.practice.exercises import Diagnosis, Exercise
from nnx_state.practice.findings import Finding
from nnx_state.practice.lines import unfinished_line
from nnx_state.practice.reading import Source
from nnx_state.practice.running import Ran, Runner, run

LIMIT = 30.0  # seconds for one attempt
SHOWN = 2000  # characters of what an attempt printed, from its end
CHECK_FAILED = "check-failed"
NOT_REACHED = "not-reached"
NO_FAULT = {CHECK_FAILED, NOT_REACHED}  # the kinds of findings that are no fault of the attempt


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
        """Tell whether a check failed by itself, or the time ran out, before anything was found."""
        return bool(self.found) and self.found[0].finding.kind in NO_FAULT


def grade(exercise: Exercise, path: Path, limit: float = LIMIT, runner: Runner | None = None) -> Report:
    """Return what is found in an attempt, the root first.

    Args:
        exercise: what the attempt is for.
        path: the attempt.
        limit: how long it may run, in seconds.
        runner: what runs it; by default a new Python.

    Raises:
        RefusedError: If there is no such file, it is not a text of at most a million bytes, or nothing can be run.
    """
    return _graded(exercise, reading.attempt(path), limit, runner)


def grade_source(exercise: Exercise, text: str, limit: float = LIMIT, runner: Runner | None = None) -> Report:
    """Return what is found in a text, as if it were a learner's file.

    Args:
        exercise: what the attempt is for.
        text: the text.
        limit: how long it may run, in seconds.
        runner: what runs it; by default a new Python.
    """
    return _graded(exercise, Source(Path(exercise.filename), text), limit, runner)


def _graded(exercise: Exercise, source: Source, limit: float, runner: Runner | None) -> Report:
    start = time.monotonic()
    printed = ""
    findings = _before_running(exercise, source.text)
    if not findings:
        path = str(source.path.resolve())
        with scratch.folder() as folder:
            with files.refusing(f"{folder} cannot be written", scratch.ADVICE):
                (folder / "work").mkdir()
            question = Question(exercise.module, path, source.text, str(folder), limit)
            ran = (runner or run)(question)
        printed = ran.printed.decode("utf-8", errors="replace")[-SHOWN:]
        findings = _found(channel.record(ran.told, question.word), ran, source.text, path)
    found = tuple(Diagnosed(finding, exercise.diagnosis(finding.kind, finding.about)) for finding in findings)
    return Report(exercise, source, found, printed, time.monotonic() - start)


def _before_running(exercise: Exercise, text: str) -> list[Finding]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [Finding("syntax", seen=f"{type(error).__name__}: {error}", line=getattr(error, "lineno", None))]
    if not tree.body or ast.dump(tree) == ast.dump(ast.parse(exercise.starter)):
        return [Finding("not-started", seen="the starter" if tree.body else "an empty file")]
    return []


def _found(record: Record, ran: Ran, text: str, path: str) -> list[Finding]:
    """Return what a run has found; a function without a body goes before what follows from it."""
    findings = [*record.findings, *_unended(record, ran.code, path)]
    kinds = {finding.kind for finding in findings}
    line = unfinished_line(ast.parse(text))
    if findings and line and kinds.isdisjoint({"unfinished", "patched"}):
        findings.insert(0, Finding("unfinished", seen="a function without a body", expected="its code", line=line))
    return findings


def _unended(record: Record, code: int | None, path: str) -> list[Finding]:
    """Return a finding if the graded process did not reach its end."""
    if record.done:
        return []
    where = f"in the stage {record.stage.strip('_')}" if record.stage else "before the first stage"
    if code is None or record.rest:
        if not record.stage:
            return [Finding(NOT_REACHED, seen="JAX was still being imported at the time limit", expected="a start")]
        return [Finding("timeout", seen=f"still running {where}", expected="an end", line=_stuck(record.rest, path))]
    signals = {int(one): one.name for one in signal.Signals}  # some have a number alone
    how = f"signal {signals.get(-code, -code)}" if code < 0 else f"exit code {code}"
    return [Finding("crashed", seen=f"{how} {where}", expected="a result")]


def _stuck(stack: str, path: str) -> int | None:
    """Return the line of the attempt that was running at the time limit."""
    found = re.search(rf'File "{re.escape(path)}", line (\d+)', unescaped(stack))
    return int(found[1]) if found else None
