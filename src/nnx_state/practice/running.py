"""Run an attempt in a process of its own, with a limit. Nothing here imports JAX."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, BinaryIO

import platformdirs

from nnx_state import _files
from nnx_state._outcome import RefusedError
from nnx_state.practice.channel import Question
from nnx_state.practice.keeper import GRACE
from nnx_state.practice.limits import LONGEST
from nnx_state.practice.scratch import ADVICE

PACKAGE = str(Path(__file__).parents[2])
# What JAX and Flax import stays as long as the process: looking through it for garbage takes a sixth of the import.
START = f"import gc, sys; gc.disable(); sys.path.insert(0, {PACKAGE!r})"
PROGRAM = f"{START}; from nnx_state.practice import keeper; keeper.main()"
KEPT = 10_000  # bytes of what an attempt printed, from its end


@dataclass(frozen=True)
class Ran:
    """What came of a run.

    Attributes:
        code: the exit code, below 0 for a signal; None if the process did not end by itself.
        told: all that came over the channel.
        printed: the end of what the attempt printed.
    """

    code: int | None
    told: bytes
    printed: bytes


Runner = Callable[[Question], Ran]


def run(question: Question) -> Ran:
    """Answer a question in a new Python, which has ended with all that it started when this returns.

    Raises:
        RefusedError: If Python cannot be started.
    """
    folder = Path(question.folder)
    with contextlib.ExitStack() as stack:
        with _files.refusing(f"{folder} cannot be written", ADVICE):
            printed = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", PROGRAM],
                cwd=folder / "work",
                env=environment(folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                start_new_session=True,
            )
        except OSError as error:
            raise RefusedError(f"Python cannot be started: {sys.executable}: {error.strerror}.") from None
        code, told = _answer(process, question)
        return Ran(code, told, end_of(printed))


def end_of(printed: BinaryIO) -> bytes:
    """Return the end of what an attempt printed into a file."""
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, size - KEPT))
    return printed.read()


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that an attempt runs with, few and the same everywhere."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    work = str(folder / "work")
    cache = str((_files.of_user(platformdirs.user_cache_path) or Path(work)) / "jax")
    return kept | {
        "HOME": work,
        "TMPDIR": work,
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": os.environ.get("JAX_COMPILATION_CACHE_DIR", cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def _answer(process: subprocess.Popen[bytes], question: Question) -> tuple[int | None, bytes]:
    """Ask a question; return the exit code, or None without an end, and what came over the channel."""
    asking, process.stdin = process.stdin, None  # its end would end the process
    assert asking is not None  # it is a pipe
    try:
        # A pipe that is broken is one whose process has ended already, and its exit code says so.
        with _files.refusing("Python cannot be asked"), contextlib.suppress(BrokenPipeError):
            asking.write(json.dumps(asdict(question)).encode() + b"\n")
            asking.flush()
        process.communicate(timeout=LONGEST * question.limit + 2 * GRACE)
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        code = None
    finally:
        told = _ended(process, asking)
    return code, told


def _ended(process: subprocess.Popen[bytes], asking: IO[bytes]) -> bytes:
    """End a process, unless it has ended, with all that it started; return what came over the channel."""
    with contextlib.suppress(BrokenPipeError):
        asking.close()
    try:
        return process.communicate(timeout=GRACE)[0]
    except subprocess.TimeoutExpired:  # where no keeper waits for the end of its standard input
        process.kill()
        return process.communicate()[0]
