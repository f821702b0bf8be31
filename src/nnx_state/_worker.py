"""A process that answers one question after another; one that ends or loops is told, and the next starts anew."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class EndedError(Exception):
    """The process gave no answer.

    Attributes:
        code: its exit code, below 0 for a signal; None if it was ended at the time limit.
    """

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Worker:
    """Asks a function in a process of its own, as long as that lives.

    Args:
        answer: the function; it, what it takes and what it returns can be pickled.
        method: how the process is started, as `multiprocessing` names it.
        preload: what `forkserver` imports once for all processes.
    """

    def __init__(self, answer: Callable[[Any], Any], method: str = "spawn", preload: tuple[str, ...] = ()) -> None:
        self._answer, self._preload = answer, list(preload)
        self._context: Any = multiprocessing.get_context(method)
        self._process: Any = None
        self._pipe: Any = None

    def ask(self, question: Any, limit: float) -> Any:
        """Return the answer to a question, for which there are so many seconds.

        Raises:
            EndedError: If the process ended before it answered, or was ended at the limit.
        """
        if self._process is None:
            self._start()
        self._pipe.send(question)
        code = None
        try:
            if self._pipe.poll(limit):
                return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
        self.close()
        raise EndedError(code)

    def close(self) -> None:
        """End the process and all that it started; the next question starts a new one."""
        if self._process is None:
            return
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self._process = None

    def _start(self) -> None:
        if self._preload:
            self._context.set_forkserver_preload(self._preload)
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(self._answer, theirs), daemon=True)
        self._process.start()
        theirs.close()


def _serve(answer: Callable[[Any], Any], pipe: Connection) -> None:
    if os.name == "posix":
        os.setpgid(0, 0)  # what it starts ends with it
    with contextlib.suppress(EOFError):  # nobody asks any more
        while True:
            pipe.send(answer(pipe.recv()))
