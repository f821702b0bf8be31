"""The process between the one that asks and the attempt: it ends all that the attempt started, whatever happens.

The attempt runs in a process that is forked from this one. On Linux the kernel makes whatever the attempt leaves
behind a child of this process, also in sessions of its own, and ends the attempt if this process is ended. Elsewhere
the group of the attempt ends with it. Where the system cannot fork, the attempt runs in this process.

The question comes over standard input, which stays open as long as the one that asked is there and wants an answer.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from nnx_state.practice.channel import Question

GRACE = 5.0  # seconds beyond the limit, after which a process that did not end itself is ended
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # of <linux/prctl.h>


def main() -> None:
    """Answer one question, and end as the attempt ended."""
    question = Question(**json.loads(sys.stdin.buffer.readline()))
    if not hasattr(os, "fork"):
        _answer(question)
    _control(PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    attempt = os.fork()
    if not attempt:
        os.setsid()
        _control(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == keeper:  # otherwise it ended before the signal was asked for
            _answer(question)
        os._exit(1)
    threading.Thread(target=_end_unwanted, args=(attempt, question.limit + GRACE), daemon=True).start()
    status = os.waitpid(attempt, 0)[1]
    end_left_behind(attempt)
    if os.getppid() != question.parent:  # nobody else is there to remove it
        shutil.rmtree(question.folder, ignore_errors=True)
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


def _answer(question: Question) -> None:
    from nnx_state.practice import child

    child.main(question)


def _end_unwanted(attempt: int, seconds: float) -> None:
    """End the attempt after so many seconds, or when standard input ends: then nobody waits for an answer."""
    select.select([sys.stdin], [], [], seconds)
    _end(attempt)


def _end(process: int) -> None:
    """End a process, or a group by its negative number; it may be gone already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, signal.SIGKILL)


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
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
