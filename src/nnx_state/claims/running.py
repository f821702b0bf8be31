"""Run claims in processes of their own: one that loops or ends the interpreter is recorded, and the next one runs."""

import functools
import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from nnx_state.claims.registry import CRASHED, Verdict, claims, judge

LIMIT = 60.0  # seconds for one claim
Check = Callable[[], None]  # what can be pickled


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


class Worker:
    """A process that judges one check after another, as long as it lives."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Any = None

    def judge(self, check: Check, limit: float = LIMIT) -> Verdict:
        """Return what a run of a check says of its claim; it is stopped after so many seconds."""
        if self._process is None:
            self._start()
        self._pipe.send(check)
        try:
            if self._pipe.poll(limit):
                return Verdict(*self._pipe.recv())
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode or 0
            self.close()
            return Verdict(CRASHED, f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")
        self.close()
        return Verdict(CRASHED, f"it did not end within {limit:.0f} s")

    def close(self) -> None:
        """End the process; the next check starts a new one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _start(self) -> None:
        context: Any = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()


def _check(name: str) -> None:
    claims()[name].check()


def _serve(pipe: Connection) -> None:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    # JAX 0.5.1 reads wrong programs from its cache.
    jax.config.update("jax_enable_compilation_cache", False)  # type: ignore[no-untyped-call]  # as JAX has it
    try:
        while True:
            verdict = judge(pipe.recv())
            pipe.send((verdict.verdict, verdict.said))
    except EOFError:  # nobody asks any more
        return
