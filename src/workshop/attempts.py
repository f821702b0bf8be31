"""Grade many attempts: in processes that are forked from one that has imported the libraries already."""

import contextlib
import os
import sys
from pathlib import Path

from nnx_state._worker import EndedError, Worker
from nnx_state.practice import grading
from nnx_state.practice.exercises import Exercise

PRELOADED = ("jax", "flax.nnx", "optax", "orbax.checkpoint", "nnx_state.practice.probe")


def forked(exercise: Exercise, path: Path, folder: Path, limit: float) -> int | None:
    """Run an attempt as `grading.run` does, in a process of its own that needs not import the libraries."""
    with contextlib.closing(Reused()) as process:
        return process(exercise, path, folder, limit)


class Reused(Worker):
    """A runner that grades one attempt after another in one process, as long as that lives.

    An attempt may meet what earlier ones have changed: what it gives otherwise than expected is to be run alone.
    """

    def __init__(self) -> None:
        super().__init__(_graded, "forkserver", PRELOADED)

    def __call__(self, exercise: Exercise, path: Path, folder: Path, limit: float) -> int | None:
        """Run an attempt; return its exit code, or None if it was ended at the limit."""
        try:
            code: int | None = self.ask((exercise.module, path, folder, limit), limit + grading.GRACE)
            return code
        except EndedError as ended:
            return ended.code


def _graded(question: tuple[str, Path, Path, float]) -> int:
    module, path, folder, limit = question
    os.chdir(folder / "work")
    printed = os.open(folder / "printed", os.O_WRONLY | os.O_CREAT)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.close(printed)
    os.environ.update(grading.environment(folder))
    from nnx_state.practice import child

    child.main(module, str(path), str(folder), limit)
    sys.stdout.flush()
    return 0
