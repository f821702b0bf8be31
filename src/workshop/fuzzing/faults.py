"""End a program, or fail it, at each call that changes a file or tells something.

Where strace may look, the kernel does that; everywhere else the calls are those of which Python tells.
"""

import ctypes
import errno
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nnx_state.practice import progress
from nnx_state.practice.exercises import exercise
from workshop.fuzzing import acting
from workshop.fuzzing.learner import KINDS, Learner, learner
from workshop.fuzzing.processes import listen, started

KILL = "KILL"
# A full disk, one that fails, files of somebody else, a disk that is read only, a signal, and too many open files.
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EINTR", "EMFILE")
FILE = "multi_param.py"
MINE = f"{acting.RIGHT}# mine\n"
NOT_YET = f"{acting.WRONG}# mine\n"
VERBS = {  # what is run, and the text of the attempt before
    "start": (["start", "multi-param"], ""),
    "start again": (["start", "multi-param"], MINE),
    "check": (["check", FILE], MINE),
    "check, wrong": (["check", FILE], NOT_YET),
    "check, begun": (["check"], MINE),
    "reset": (["reset", "linear"], ""),
    "hint": (["hint", "multi-param"], MINE),
    "solution": (["solution", "filters"], MINE),
    "watch": (["watch", "."], MINE),
    "list": (["list"], MINE),
}
# The names of the calls that can change something; strace passes over those that a processor does not have.
NAMES = "openat open creat mkdir mkdirat write pwrite64 fsync fdatasync ftruncate flock rename renameat renameat2 "
NAMES += "link linkat unlink unlinkat rmdir"
TRACED = "trace=" + ",".join(f"?{name}" for name in NAMES.split())
CALL = re.compile(r"^(\w+)\((.*)\) += ")
VERDICT = re.compile(r"\*\*(Passed|Not yet|No verdict)\.\*\*")
SAVING = "/state/"  # what a call says that saves
ANYONE = 0x59616D61, -1  # PR_SET_PTRACER, PR_SET_PTRACER_ANY of <linux/prctl.h>


@dataclass(frozen=True)
class Point:
    """One call of a program.

    Attributes:
        name: the call.
        number: how many of that name there were, with this one.
        said: the call with its arguments.
    """

    name: str
    number: int
    said: str


@dataclass(frozen=True)
class Ended:
    """How a program has ended: its exit code, below 0 for a signal, and what it told."""

    code: int
    told: str


Runner = Callable[[Learner, list[str], Point | None, str], tuple[Ended, list[Point]]]


def by_python(one: Learner, arguments: list[str], at: Point | None, fault: str) -> tuple[Ended, list[Point]]:
    """Run the command line with a fault at a call, or with none; return how it ended, and the calls that it made."""
    out, calls = _empty(one, "told"), _empty(one, "calls")
    log = os.open(calls, os.O_WRONLY | os.O_APPEND)
    seen = 0

    def before(said: str) -> None:
        nonlocal seen
        seen += 1
        os.write(log, f"{said}\n".encode("utf-8", "backslashreplace"))
        if at and seen == at.number:
            if fault == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            number = getattr(errno, fault)
            raise OSError(number, os.strerror(number))

    number = started(["practice", *arguments], out, lambda: listen(before))
    status = os.waitpid(number, 0)[1]
    os.close(log)
    points = [
        Point(said.split()[0], place, said) for place, said in enumerate(calls.read_text("utf-8").split("\n")[:-1], 1)
    ]
    return Ended(os.waitstatus_to_exitcode(status), out.read_text("utf-8")), points


def kernel_helps() -> bool:
    """Tell whether there is a strace that may look at other processes."""
    command = ["strace", "-o", os.devnull, "true"]
    return bool(shutil.which("strace")) and not subprocess.run(command, capture_output=True, check=False).returncode


def by_the_kernel(one: Learner, arguments: list[str], at: Point | None, fault: str) -> tuple[Ended, list[Point]]:
    """Do the same with strace, for which the new process waits."""
    out, calls = _empty(one, "told"), _empty(one, "calls")
    waiting, go = os.pipe()

    def prepare() -> None:
        ctypes.CDLL(None).prctl(*ANYONE, 0, 0, 0)  # some systems let nobody else look
        os.read(waiting, 1)

    number = started(["practice", *arguments], out, prepare)
    effect = f"signal={fault}" if fault == KILL else f"error={fault}"
    inject = ["-e", f"inject={at.name}:{effect}:when={at.number}"] if at else []
    command = ["strace", "-y", "-o", str(calls), "-e", TRACED, "-e", "signal=none", *inject, "-p", str(number)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None  # it is a pipe
        if "attached" not in (said := strace.stderr.readline()):
            raise OSError(said)
        os.write(go, b"x")
        status = os.waitpid(number, 0)[1]
    os.close(waiting)
    os.close(go)
    points, numbers = [], dict.fromkeys(NAMES.split(), 0)
    for line in calls.read_text("utf-8", errors="replace").splitlines():
        if call := CALL.match(line):
            numbers[call[1]] += 1
            if not call[1].startswith("open") or re.search("O_WRONLY|O_RDWR|O_CREAT", call[2]):
                points.append(Point(call[1], numbers[call[1]], line))
    return Ended(os.waitstatus_to_exitcode(status), out.read_text("utf-8")), points


def _empty(one: Learner, name: str) -> Path:
    path = one.home / name
    path.write_bytes(b"")
    return path


def complaints(one: Learner, kind: str, verb: str, before: set[str], ended: Ended, at: Point) -> Iterator[str]:
    """Yield what is wrong after a fault."""
    killed = ended.code == -signal.SIGKILL
    if not killed:
        yield from _badly_told(verb, ended, at)
    yield from one.complaints(kind)
    after = one.texts()
    if lost := {text for text in before if text not in after and verb != "watch"}:
        yield f"an attempt is lost: {lost}"
    if odd := after - before - {acting.WRONG, acting.SAVED, exercise("linear").starter}:
        yield f"a file is half written: {odd}"
    if verb == "check" and "Next: `nnx-state" in ended.told and not progress.load().of("multi-param").passed:
        yield "a pass that was told to be saved is lost"


def _badly_told(verb: str, ended: Ended, at: Point) -> Iterator[str]:
    """Yield what is wrong with how a program ended by itself, and with what it told."""
    if ended.code not in {0, 1, 2}:
        yield f"exit code {ended.code}"
    if re.search(r"Traceback|Exception ignored|Warning|Errno", ended.told):
        yield f"it told: {ended.told}"
    silent = at.name == "write" and SAVING not in at.said  # perhaps it could not tell
    if not ended.told.strip() and not silent:
        yield "it told nothing"
    verdicts = VERDICT.findall(ended.told)
    if not verb.startswith("check") or verb == "check, begun" or silent:
        return
    if SAVING in at.said and not verdicts:
        yield f"the verdict is lost: {ended.told}"
    if [ended.code] != ([{"Passed": 0, "Not yet": 1, "No verdict": 2}[one] for one in verdicts] or [2]):
        yield f"exit code {ended.code} after {ended.told}"


def tried(runner: Runner, kind: str, verb: str, at: Point | None, fault: str) -> tuple[bool, list[str], list[Point]]:
    """Run a verb once with a fault; return whether the fault came, what is wrong after it, and the program's calls."""
    arguments, text = VERBS[verb]
    with learner(kind) as one:
        if text:
            (one.work / FILE).write_text(text, "utf-8")
        if kind == "known":
            (one.work / "linear.py").write_text(NOT_YET.replace("mine", "mine, of linear"), "utf-8")
        before = one.texts()
        ended, points = runner(one, arguments, at, fault)
        if at is None:
            return False, [], [point for point in points if ".editor" not in point.said]
        came = ended.code == -signal.SIGKILL if fault == KILL else True
        found = list(complaints(one, kind, verb, before, ended, at))
        again, _ = by_python(one, arguments, None, "")
        found += [f"the next time: {complaint}" for complaint in _badly_told(verb, again, Point("", 0, SAVING))]
        if left := one.left():
            found.append(f"these stay for ever: {left}")
        return came, found, points


def main(runner: Runner, verbs: tuple[str, ...], faults: tuple[str, ...], every: int, seed: int) -> int:
    """Try each fault at each call of each verb, and print what is wrong; return how much that is.

    Args:
        runner: what runs the command line.
        verbs: what it is asked for.
        faults: what happens at the call.
        every: take one of so many.
        seed: what the choice of these follows from.
    """
    chance, wrong = random.Random(seed), 0
    came = dict.fromkeys(faults, 0)
    for kind, verb in itertools.product(KINDS, verbs):
        for at, fault in itertools.product(tried(runner, kind, verb, None, "")[2], faults):
            if chance.randrange(every):
                continue
            hit, found, _ = tried(runner, kind, verb, at, fault)
            came[fault] += hit
            wrong += len(found)
            for complaint in found:
                print(f"{kind}, {verb}, {fault} at {at.said}: {complaint}", flush=True)
    told = ", ".join(f"{count} {fault}" for fault, count in came.items())
    print(f"faults, {runner.__name__}: {told}; {wrong} findings")
    return wrong
