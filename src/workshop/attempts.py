"""Grade many attempts: in processes that are forked from one that has imported the libraries already."""

import contextlib
import os
import sys
from pathlib import Path

from nnx_state._worker import EndedError, Worker
from nnx_state.practice.channel import Question
from nnx_state.practice.keeper import GRACE
from nnx_state.practice.running import Ran, end_of, environment

PRELOADED = ("jax", "flax.nnx", "optax", "orbax.checkpoint", "nnx_state.practice.probe")


def forked(question: Question) -> Ran:
    """Run an attempt as `running.run` does, in a process of its own that needs not import the libraries."""
    with contextlib.closing(Reused()) as process:
        return process(question)


class Reused(Worker):
    """A runner that grades one attempt after another in one process, as long as that lives.

    An attempt may meet what earlier ones have changed: what it gives otherwise than expected is to be run alone.
    """

    def __init__(self) -> None:
        super().__init__(_graded, "forkserver", PRELOADED)

    def __call__(self, question: Question) -> Ran:
        """Run an attempt; what it tells and prints goes through files beside its folder."""
        folder = Path(question.folder)
        try:
            code: int | None = self.ask(question, question.limit + GRACE)
        except EndedError as ended:
            code = ended.code
        with (folder / "printed").open("rb") as printed:
            return Ran(code, (folder / "told").read_bytes(), end_of(printed))


def _graded(question: Question) -> int:
    folder = Path(question.folder)
    os.chdir(folder / "work")
    told, printed = (os.open(folder / name, os.O_WRONLY | os.O_CREAT) for name in ("told", "printed"))
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.close(printed)
    os.environ.update(environment(folder))
    from nnx_state.practice import child

    child.grade(question, told)
    os.close(told)
    sys.stdout.flush()
    return 0
