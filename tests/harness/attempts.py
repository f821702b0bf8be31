"""Grade many attempts: in processes that are forked from one that has imported the libraries already."""

import contextlib
import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nnx_state.practice import grading
from nnx_state.practice.exercises import Exercise

PRELOADED = ["jax", "flax.nnx", "optax", "orbax.checkpoint", "nnx_state.practice.probe"]


def forked(exercise: Exercise, path: Path, folder: Path, limit: float) -> int | None:
    """Run an attempt as `grading.run` does, in a process of its own that needs not import the libraries."""
    with contextlib.closing(Reused()) as process:
        return process(exercise, path, folder, limit)


class Reused:
    """A runner that grades one attempt after another in one process, as long as that lives.

    An attempt may meet what earlier ones have changed: what it gives otherwise than expected is to be run alone.
    """

    def __init__(self) -> None:
        self.process: Any = None
        self.pipe: Connection | None = None

    def __call__(self, exercise: Exercise, path: Path, folder: Path, limit: float) -> int | None:
        """Run an attempt; return its exit code, or None if it was ended at the limit."""
        if self.process is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(PRELOADED)
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs,))
            self.process.start()
            theirs.close()
        self.pipe.send((exercise.module, str(path), str(folder), limit))
        try:
            if self.pipe.poll(limit + grading.GRACE):
                return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode
            self.close()
            return code
        self.close()
        return None

    def close(self) -> None:
        """End the process, and all that the attempts started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.join()
            self.process = None


def _serve(pipe: Connection) -> None:
    os.setpgid(0, 0)
    from nnx_state.practice import child

    with contextlib.suppress(EOFError):
        while True:
            module, path, folder, limit = pipe.recv()
            os.chdir(Path(folder, "work"))
            printed = os.open(Path(folder, "printed"), os.O_WRONLY | os.O_CREAT)
            os.dup2(printed, 1)
            os.dup2(printed, 2)
            os.close(printed)
            os.environ.update(grading.environment(Path(folder)))
            child.main(module, path, folder, limit)
            sys.stdout.flush()
            pipe.send(0)
