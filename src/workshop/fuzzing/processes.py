"""Run the command line in a process that is forked from this one, which takes some milliseconds.

That is why nothing here may import JAX. The process can stop before each call that changes a file or tells something:
Python tells its audit hooks of most of these calls before it makes them.
"""

import contextlib
import functools
import io
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workshop.fuzzing import acting

CALLS = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock", "os.fsync", "write"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
BROKE = 70  # the exit code of a program that ended with an exception of its own


class _Told(io.FileIO):
    """Standard output; a write is a call like others."""

    def write(self, data: Any, /) -> int:
        sys.audit("write", self.fileno())
        return super().write(data) or 0


def started(arguments: list[str], out: Path, prepare: Callable[[], None]) -> int:
    """Start the command line in a new process, and return its number.

    Args:
        arguments: those of the command line.
        out: the file that gets its output.
        prepare: is called in that process before the command line.
    """
    _import_all()
    sys.stdout.flush()
    number = os.fork()
    if number:
        return number
    code: Any = BROKE
    try:
        written = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(written, stream)
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Told(1, "wb", closefd=False)), "utf-8")
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(_Told(2, "wb", closefd=False)), "utf-8", write_through=True)
        prepare()
        acting.main(*arguments)
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        os._exit(code)
    return 0


@functools.cache
def _import_all() -> None:
    """Import what the command line imports when it runs: each fork would do that again."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        acting.main("practice", "list")


def listen(before: Callable[[str], None]) -> None:
    """Let something be called in this process before each call that changes a file or tells something.

    Args:
        before: gets a text that says which call it is; what it raises, the call raises.
    """
    fsync = os.fsync

    def told(number: int) -> None:
        sys.audit("os.fsync", number)
        fsync(number)

    setattr(os, "fsync", told)  # noqa: B010 - Python has no event for it
    busy = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal busy
        if busy or not (event in CALLS or (event == "open" and _writes(arguments))):
            return
        busy = True
        try:
            before(" ".join([event, *(str(one) for one in arguments if isinstance(one, (str, Path, bytes)))]))
        finally:
            busy = False

    sys.addaudithook(hook)


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return bool(flags & WRITING) if isinstance(flags, int) else mode not in {None, "r", "rb"}
