"""Run claims in processes of their own: one that loops or ends the interpreter is recorded, and the next one runs."""

import functools
import os
import queue
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from nnx_state import _worker
from nnx_state.claims.registry import CRASHED, Verdict, claims, judge

LIMIT = 60.0  # seconds for one claim


def run(names: list[str], jobs: int = 1) -> Iterator[tuple[str, Verdict]]:
    """Yield the name and the verdict of each claim, in the order of the names; `jobs` of them run at a time."""
    workers: queue.Queue[Worker] = queue.Queue()
    for _ in range(jobs):
        workers.put(Worker())

    def verdict(name: str) -> Verdict:
        worker = workers.get()
        try:
            return worker.judge(functools.partial(_check, name))
        finally:
            workers.put(worker)

    try:
        with ThreadPoolExecutor(jobs) as pool:
            yield from zip(names, pool.map(verdict, names), strict=True)
    finally:
        while not workers.empty():
            workers.get().close()


class Worker(_worker.Worker):
    """A process that judges one check after another, as long as it lives."""

    def __init__(self) -> None:
        super().__init__(_judged)

    def judge(self, check: Callable[[], None], limit: float = LIMIT) -> Verdict:
        """Return what a run of a check that can be pickled says of its claim; it may take so many seconds."""
        try:
            return Verdict(*self.ask(check, limit))
        except _worker.EndedError as ended:
            if ended.code is None:
                return Verdict(CRASHED, f"it did not end within {limit:.0f} s")
            how = f"signal {signal.Signals(-ended.code).name}" if ended.code < 0 else f"exit code {ended.code}"
            return Verdict(CRASHED, how)


def _check(name: str) -> None:
    claims()[name].run()


def _judged(check: Callable[[], None]) -> tuple[str, str]:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - it is no file
        os.dup2(nowhere.fileno(), 2)  # libraries warn between the lines of whoever asks
    import jax

    # JAX 0.5.1 reads wrong programs from its cache.
    jax.config.update("jax_enable_compilation_cache", False)  # type: ignore[no-untyped-call]  # as JAX has it
    # After a save that raised, a thread of Orbax may write into a folder that goes: that is no verdict on Flax.
    tempfile.TemporaryDirectory = functools.partial(tempfile.TemporaryDirectory, ignore_cleanup_errors=True)  # type: ignore[assignment,misc]
    verdict = judge(check)
    return verdict.verdict, verdict.said
