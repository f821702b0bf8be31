"""Grade an attempt: run it in a process of its own, with limits, and choose the diagnosis. Nothing here imports JAX.

It is a safety net for one's own code, not a sandbox for strangers': the process may read and write what its user may.
"""

import ast
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from nnx_state._outcome import RefusedError
from nnx_state._stacks import unescaped
from nnx_state.practice.exercises import Diagnosis, Exercise
from nnx_state.practice.findings import Finding, Record

LIMIT = 30.0  # seconds for one attempt
GRACE = 5.0  # seconds more, after which a process that did not end itself is ended
LONGEST = 1_000_000  # bytes of an attempt
SHOWN = 2000  # characters of what an attempt printed, from its end

# Run an attempt at an exercise in a folder, for some seconds at most; return the exit code, or None if it was ended.
Runner = Callable[[Exercise, Path, Path, float], int | None]


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
        path: the attempt.
        source: its text when it was checked.
        found: what was found, the root first; nothing if the attempt is right.
        printed: the end of what the attempt printed.
        seconds: how long the check took.
    """

    exercise: Exercise
    path: Path
    source: str
    found: tuple[Diagnosed, ...]
    printed: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Tell whether the attempt is right."""
        return not self.found


def grade(exercise: Exercise, path: Path, limit: float = LIMIT, runner: Runner | None = None) -> Report:
    """Return what is found in an attempt, the root first.

    Args:
        exercise: what the attempt is for.
        path: the attempt.
        limit: how long it may run, in seconds.
        runner: what runs it; by default a new Python.

    Raises:
        RefusedError: If there is no such file, or it is not a text of at most a million bytes.
    """
    start = time.monotonic()
    source = _read(path)
    printed = ""
    findings = _before_running(exercise, source)
    if not findings:
        with tempfile.TemporaryDirectory(prefix="nnx-state-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / "work").mkdir()
            code = (runner or run)(exercise, path.resolve(), folder, limit)
            findings = [*Record(folder / "record").findings(), *_after_running(code, folder, path.resolve())]
            printed = (folder / "printed").read_text("utf-8", errors="replace")[-SHOWN:]
    found = tuple(Diagnosed(finding, exercise.diagnosis(finding.kind, finding.about)) for finding in findings)
    return Report(exercise, path, source, found, printed, time.monotonic() - start)


def grade_source(exercise: Exercise, source: str, limit: float = LIMIT, runner: Runner | None = None) -> Report:
    """Return what is found in a text, as if it were a learner's file; the file is gone afterwards.

    Args:
        exercise: what the attempt is for.
        source: the text.
        limit: how long it may run, in seconds.
        runner: what runs it; by default a new Python.
    """
    with tempfile.TemporaryDirectory(prefix="nnx-state-") as folder:
        path = Path(folder, exercise.filename)
        path.write_text(source, "utf-8", newline="\n")
        return grade(exercise, path, limit, runner)


def run(exercise: Exercise, path: Path, folder: Path, limit: float) -> int | None:
    """Run an attempt in a new Python; return its exit code, or None if it did not end itself at the limit."""
    package = Path(__file__).parents[2]
    start = f"import sys; sys.path.insert(0, {str(package)!r}); from nnx_state.practice import child; "
    call = f"child.main({exercise.module!r}, {str(path)!r}, {str(folder)!r}, {limit!r})"
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", start + call],
            cwd=folder / "work",
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
        )
    try:
        return process.wait(limit + GRACE)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end_group(process.pid)
        process.kill()
        process.wait()


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that an attempt runs with, few and the same everywhere."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    work = str(folder / "work")
    cache = str(platformdirs.user_cache_path("nnx-state") / "jax")
    return kept | {
        "HOME": work,
        "TMPDIR": work,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": os.environ.get("JAX_COMPILATION_CACHE_DIR", cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def end_group(process_id: int) -> None:
    """End a process and all that it started."""
    if os.name == "posix":
        try:
            os.killpg(process_id, signal.SIGKILL)
        except ProcessLookupError:
            return


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror}"
        raise RefusedError(f"{why}. `nnx-state practice start` writes a file to begin with.") from None
    if len(data) > LONGEST:
        raise RefusedError(f"{path} has {len(data)} bytes, {LONGEST} are allowed: is it a Python file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError(f"{path} is not text in UTF-8 (byte {error.start}): save it in that encoding.") from None


def _before_running(exercise: Exercise, source: str) -> list[Finding]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [Finding("syntax", seen=f"{type(error).__name__}: {error}", line=getattr(error, "lineno", None))]
    if not tree.body or ast.dump(tree) == ast.dump(ast.parse(exercise.starter)):
        return [Finding("not-started", seen="the starter" if tree.body else "an empty file")]
    return []


def _after_running(code: int | None, folder: Path, path: Path) -> list[Finding]:
    """Return a finding if the process did not reach its end."""
    entries = Record(folder / "record").entries()
    if entries and entries[-1] == {"done": True}:
        return []
    stages = [entry["stage"] for entry in entries if "stage" in entry]
    where = f"in the stage {stages[-1].strip('_')}" if stages else "before the first stage"
    stack = folder / "stack"
    if code is None or (stack.exists() and stack.stat().st_size):
        return [Finding("timeout", seen=f"still running {where}", expected="an end", line=_stuck(stack, path))]
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return [Finding("crashed", seen=f"{how} {where}", expected="a result")]


def _stuck(stack: Path, path: Path) -> int | None:
    """Return the line of the attempt that was running at the time limit."""
    text = unescaped(stack.read_text("utf-8", errors="replace")) if stack.exists() else ""
    found = re.search(rf'File "{re.escape(str(path))}", line (\d+)', text)
    return int(found[1]) if found else None
