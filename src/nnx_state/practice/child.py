"""The graded process: run one attempt stage by stage and note what is found. It is started by `keeper`."""

import contextlib
import faulthandler
import functools
import gc
import importlib
import inspect
import linecache
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from nnx_state.practice import channel, origins, patches
from nnx_state.practice.channel import Question
from nnx_state.practice.findings import Finding, told
from nnx_state.practice.lines import raising_line

MEMORY = 8 * 2**30  # bytes of data; JAX alone reserves about 1 GiB
LARGEST_FILE = 64 * 2**20  # bytes that one file may take, the learner's prints included


def main(question: Question, watched: bool) -> NoReturn:
    """Answer a question over standard output, which is no longer that of the attempt, and end this process.

    Threads that the attempt started end with it.

    Args:
        question: what is graded.
        watched: whether another process ends this one at its limit.
    """
    answers = os.dup(1)
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=functools.partial(_close_once, [answers]))
    gc.freeze()  # what is imported by now stays, and was imported without looking for garbage
    gc.enable()
    grade(question, answers, watched)
    with contextlib.suppress(OSError):  # what the attempt printed may not fit on the disk
        sys.stdout.flush()
    os._exit(0)


def _close_once(channels: list[int]) -> None:
    """Close what is listed: a process that is forked from a forked one may have given the number to another file."""
    while channels:
        os.close(channels.pop())


def grade(question: Question, answers: int, watched: bool = False) -> None:
    """Grade an attempt by the checks of an exercise.

    Args:
        question: what is graded.
        answers: the number of the channel over which is told what is found and, at the limit, the stack.
        watched: whether another process ends this one at its limit, by a signal; otherwise it ends after that time.
    """
    _limit_resources()
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")  # it would be slower
    if watched:
        faulthandler.register(signal.SIGUSR1, file=answers, chain=True)
    else:
        faulthandler.dump_traceback_later(question.limit, exit=True, file=answers)
    note = channel.noting(answers, question.word)
    for entry in _graded(question):
        note(**entry)
    faulthandler.cancel_dump_traceback_later()
    note(done=True)


def _graded(question: Question) -> Iterator[dict[str, Any]]:
    """Yield the entries: each stage as it begins, and each finding."""
    from nnx_state.practice.probe import Attempt, Stop
    from nnx_state.practice.stages import part_of

    checks = importlib.import_module(f"nnx_state.practice.{question.module}.checks")
    path = Path(question.path)
    module = ModuleType(f"attempt_{path.stem}")  # the name hides no library
    attempt = Attempt(path, question.text, module, question.module, origins.answers(question.module))
    ended = set()  # the parts in which a stage has ended the others
    for stage in (_load, *checks.STAGES):
        if (part := part_of(stage)) in ended:
            attempt.skipped.add(inspect.unwrap(stage))
            continue
        yield {"stage": stage.__name__}
        try:
            yield from map(channel.found, attempt.run(stage))
            continue
        except Stop as stop:
            finding = stop.finding
        except BaseException as error:  # whatever it is, it is told
            finding = _ended(attempt, stage.__name__, error)
        attempt.found[inspect.unwrap(stage)].append(finding)
        yield channel.found(finding)
        if part is None:
            return
        ended.add(part)


def _load(attempt: Any) -> Iterator[Finding]:
    """Run the file itself, as an import would."""
    name = str(attempt.path)
    attempt.module.__file__ = name
    sys.modules[attempt.module.__name__] = attempt.module
    # Whoever shows lines of the attempt shows those that were read.
    linecache.cache[name] = (len(attempt.source), None, [f"{line}\n" for line in attempt.source.split("\n")], name)
    with patches.undone() as patched, attempt.does("import of the file"):
        attempt.code = compile(attempt.source, name, "exec", dont_inherit=True)
        exec(attempt.code, vars(attempt.module))
    for library, changed in patched:
        yield Finding("patched", seen=f"`{library}.{changed}` is another object now", expected="the library as it was")


def _ended(attempt: Any, stage: str, error: BaseException) -> Finding:
    """Return the finding for what ended the checks: it is the learner's where the attempt was running or called."""
    line = raising_line(attempt.path, error)
    calling = attempt.failed(error)
    if line is None and not calling:
        return _own_failure(stage, error)
    if isinstance(error, SystemExit):
        return Finding("exited", seen=calling, line=line)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error) or "Out of memory" in str(error):
        return Finding("memory", seen=calling, line=line)
    if isinstance(error, NotImplementedError) and not str(error).strip():
        return Finding("unfinished", seen=calling, line=line)
    seen = f"{calling or 'a look at its objects'} raised {told(error)}"
    return Finding("raised", seen=seen, expected="no error", line=line)


def _own_failure(stage: str, error: BaseException) -> Finding:
    """Return the finding for an error that a check made by itself."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).parent.name}/{Path(last.filename).name}:{last.lineno}"
    return Finding("check-failed", seen=f"the stage {stage} raised {told(error)} in {place}", expected="no error")


def _limit_resources() -> None:
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        for what, most in ((resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_FSIZE, LARGEST_FILE)):
            given = resource.getrlimit(what)[1]
            lower = most if given == resource.RLIM_INFINITY else min(most, given)
            resource.setrlimit(what, (lower, lower))
