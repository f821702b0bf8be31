"""The process between the one that asks and the attempt: it ends all that the attempt started, whatever happens.

The attempt runs in a process that is forked from this one. On Linux the kernel makes whatever the attempt leaves
behind a child of this process, also in sessions of its own, and ends the attempt if this process is ended. Elsewhere
the group of the attempt ends with it. Where the system cannot fork, the attempt runs in this process, and its limit is
one of time.

The question comes over standard input, which stays open as long as the one that asked is there and wants an answer.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnx_state.practice import channel, limits
from nnx_state.practice.channel import Question

GRACE = 5.0  # seconds beyond the limit, after which a process that did not end itself is ended
LOOK = 2.0  # seconds between two looks at what the attempt has computed; most attempts end before the first one
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # of <linux/prctl.h>


def main() -> None:
    """Answer one question, and end as the attempt ended."""
    question = Question(**json.loads(sys.stdin.buffer.readline()))
    if not hasattr(os, "fork"):
        _answer(question, watched=False)
    _control(PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    attempt = os.fork()
    if not attempt:
        os.setsid()
        _control(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == keeper:  # otherwise it ended before the signal was asked for
            _answer(question, watched=True)
        os._exit(1)
    over: list[dict[str, Any]] = []
    threading.Thread(target=_end_unwanted, args=(attempt, question.limit, over), daemon=True).start()
    status = os.waitpid(attempt, 0)[1]
    end_left_behind(attempt)
    for entry in over:
        channel.noting(1, f"\n{question.word}")(over=entry)  # the last line of the attempt may have no end
    if os.getppid() != question.parent or _is_unwanted():  # perhaps nobody else is there to remove it
        from nnx_state.practice import scratch  # which a check need not wait for

        scratch.remove(Path(question.folder))
    _end_as(os.waitstatus_to_exitcode(status))


def end_left_behind(group: int) -> None:
    """End a group of processes, and all children of this process until there are none."""
    _end(-group)
    while True:
        try:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                for child in _children():
                    _end(child)
                os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _answer(question: Question, watched: bool) -> None:
    from nnx_state.practice import child

    child.main(question, watched)


def _end_unwanted(attempt: int, seconds: float, over: list[dict[str, Any]]) -> None:
    """End the attempt at its limit, or when standard input ends: then nobody waits for an answer.

    Args:
        attempt: the number of its process.
        seconds: its limit.
        over: gets what is to be told of the limit when it is reached.
    """
    limit = limits.Limit(seconds)
    while not _is_unwanted(LOOK):
        now = time.monotonic()
        computed = limits.computed(now - limit.start)
        if why := limit.reached(now, computed):
            over.append({"why": why, "computed": computed, "lasted": now - limit.start})
            _end(attempt, signal.SIGUSR1)  # it tells where it stands before it ends
            _is_unwanted(GRACE)
            break
    _end(attempt)


def _is_unwanted(seconds: float = 0.0) -> bool:
    """Tell whether standard input ends within some seconds: where its writer is ended, this is what is seen first."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def _end(process: int, how: signal.Signals = signal.SIGKILL) -> None:
    """End a process, or a group by its negative number; it may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, how)


def _children() -> Iterator[int]:
    """Yield the numbers of the children of this process, where the system lists processes as files."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            number, rest = file.parent.name, file.read_text(errors="replace").rpartition(")")[2]
            if int(rest.split()[1]) == os.getpid():  # the fields after the name: its state, its parent
                yield int(number)


def _control(what: int, value: int) -> None:
    """Ask Linux for something that Python has no function for."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _end_as(code: int) -> None:
    """End this process with an exit code, or by the signal that its negative stands for."""
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # some signals cannot be caught, and have no other meaning
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
