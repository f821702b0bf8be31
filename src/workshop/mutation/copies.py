"""Run tests in a copy of the project in which one module of the package is changed.

Each thread has one copy, for one attempt after another; what is imported for each is imported once, in a process that
every attempt is forked from.
"""

import contextlib
import gc
import importlib.util
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from workshop.mutation.reached import Recorder, audited

ROOT = Path(__file__).parents[3]
LIMIT = 900  # seconds for the pages as they are
# Imported once: the attempts then start at once.
PRELOADED = ["jax", "flax.nnx", "optax", "orbax.checkpoint", "matplotlib.pyplot", "IPython.display", "pytest", "bs4"]
PRELOADED += ["workshop.mutation.reached", "workshop.pages"]
# Plugins that take long to load, and that no test needs.
UNUSED = ["randomly", "cacheprovider", "hypothesispytest", "anyio", "benchmark", "jaxtyping", "typeguard"]
_OWN = threading.local()


def attempt(chosen: list[str], folder: Path, record: Path | None = None) -> None:
    """Run some tests, or all of some files, in a copy of the project, in this process; its exit code is pytest's."""
    gc.freeze()  # what is there stays, and pytest collects garbage several times
    os.chdir(folder)
    os.setpgid(0, 0)  # a page may start processes: they end with it
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.path[:0] = [f"{folder}/src", str(folder)]
    os.environ["PYTHONPATH"] = f"{folder}/src"
    sys.dont_write_bytecode = False  # what is compiled once serves all attempts of the copy
    for name in [name for name in sys.modules if name.partition(".")[0] == "nnx_state"]:
        del sys.modules[name]  # where others preload it, it would hide the copy
    import pytest

    plugins = [Recorder(folder / "src" / "nnx_state", audited(), record)] if record else []
    os._exit(pytest.main(["-x", "-q", "--tb=short", *(f"-pno:{name}" for name in UNUSED), *chosen], plugins))


def copy() -> Path:
    """Return the copy of the project in which this thread runs one attempt after another."""
    if not hasattr(_OWN, "folder"):
        _OWN.folder = tempfile.TemporaryDirectory()
        folder = Path(_OWN.folder.name)
        for name in ("README.md", "conftest.py", "pyproject.toml"):
            shutil.copy(ROOT / name, folder / name)
        for name in ("docs", "src", "tests/harness", "tests/audit"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Path(_OWN.folder.name)


@contextlib.contextmanager
def changed(file: Path, source: str) -> Iterator[None]:
    """Put another source into a file for a time; what is compiled of one never stands for the other."""
    before = file.read_text("utf-8")
    compiled = Path(importlib.util.cache_from_source(str(file)))
    compiled.unlink(missing_ok=True)
    file.write_text(source, "utf-8")
    try:
        yield
    finally:
        file.write_text(before, "utf-8")
        compiled.unlink(missing_ok=True)


def survives(
    module: str, source: str, chosen: list[str], limit: float = LIMIT, record: Path | None = None
) -> tuple[bool, str]:
    """Tell whether all that was chosen still passes within a number of seconds, and what pytest said.

    Args:
        module: the module that is changed.
        source: all of it, with the change.
        chosen: files and tests, by their names for pytest; a change that is to be noticed by none survives.
        limit: a number of seconds.
        record: where to write which tests execute which lines of the audit.
    """
    if not chosen:
        return True, ""
    folder = copy()
    with changed(folder / "src" / "nnx_state" / f"{module}.py", source):
        process = multiprocessing.get_context("forkserver").Process(target=attempt, args=(chosen, folder, record))
        process.start()
        process.join(limit)
        if process.exitcode is None and process.pid:
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
    log = folder / "log"
    return process.exitcode == 0, log.read_text("utf-8", errors="replace") if log.exists() else ""
