"""The graded process: run one attempt stage by stage and note what is found. The parent is `grading`."""

import builtins
import contextlib
import faulthandler
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from nnx_state.practice.findings import Finding, Record, told
from nnx_state.practice.lines import raising_line

MEMORY = 8 * 2**30  # bytes of data; JAX alone reserves about 1 GiB
LARGEST_FILE = 64 * 2**20  # bytes that one file may take, the learner's prints included
WATCHED = ("jax", "jax.numpy", "flax.nnx", "optax")


def main(module: str, attempt: str, folder: str, limit: float) -> None:
    """Grade the file `attempt` by the checks of an exercise, and write what is found into `folder`.

    Args:
        module: the folder of the exercise, such as `multi_param`.
        attempt: the path of the learner's file.
        folder: where the record and, at the time limit, the stack are written.
        limit: after how many seconds the process ends itself, even if its parent is gone.
    """
    _limit_resources()
    record = Record(Path(folder, "record"))
    with Path(folder, "stack").open("w") as stack:
        faulthandler.dump_traceback_later(limit, exit=True, file=stack)
        _grade(module, Path(attempt), record)
        faulthandler.cancel_dump_traceback_later()
    record.note(done=True)


def _grade(module: str, path: Path, record: Record) -> None:
    from nnx_state.practice.probe import Attempt, Stop

    checks = importlib.import_module(f"nnx_state.practice.{module}.checks")
    attempt = Attempt(path, path.read_text("utf-8"), ModuleType(f"attempt_{path.stem}"))  # it hides no library
    for stage in (_load, *checks.STAGES):
        record.note(stage=stage.__name__)
        try:
            for finding in attempt.run(stage):
                record.found(finding)
        except Stop as stop:
            record.found(stop.finding)
            return
        except (Exception, SystemExit) as error:
            record.found(_ended(attempt, error))
            return


def _load(attempt: Any) -> Iterator[Finding]:
    """Run the file itself, as an import would."""
    before = {(library, name): value for library in _libraries() for name, value in vars(library).items()}
    attempt.module.__file__ = str(attempt.path)
    sys.modules[attempt.module.__name__] = attempt.module
    try:
        with attempt.does("import of the file"):
            exec(compile(attempt.source, str(attempt.path), "exec", dont_inherit=True), vars(attempt.module))
    finally:
        patched = [
            (library, name) for library, name in before if getattr(library, name, None) is not before[library, name]
        ]
        for library, name in patched:
            setattr(library, name, before[library, name])
    for library, name in patched:
        if not name.startswith("_"):
            seen = f"`{library.__name__}.{name}` is another object now"
            yield Finding("patched", seen=seen, expected="the library as it was")


def _libraries() -> list[ModuleType]:
    """Return what an attempt imports and should leave as it is."""
    return [builtins, *(sys.modules[name] for name in WATCHED if name in sys.modules)]


def _ended(attempt: Any, error: Exception | SystemExit) -> Finding:
    """Return the finding for what ended the checks."""
    line = raising_line(attempt.path, error)
    if isinstance(error, SystemExit):
        return Finding("exited", seen=attempt.calling, line=line)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error) or "Out of memory" in str(error):
        return Finding("memory", seen=attempt.calling, line=line)
    if isinstance(error, NotImplementedError) and not str(error).strip():
        return Finding("unfinished", seen=attempt.calling, line=line)
    what = attempt.calling or "a look at its objects"
    return Finding("raised", seen=f"{what} raised {told(error)}", expected="no error", line=line)


def _limit_resources() -> None:
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        for what, most in ((resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_FSIZE, LARGEST_FILE)):
            resource.setrlimit(what, (most, most))
