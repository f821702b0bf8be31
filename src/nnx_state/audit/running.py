"""What calls of a model do: each is made when a rule asks for it first."""

from functools import cached_property

from flax import nnx

from nnx_state.audit.calling import Inputs, copied
from nnx_state.audit.counting import limit
from nnx_state.audit.effects import Effects, effects
from nnx_state.audit.evaluation import Evaluation, evaluation
from nnx_state.audit.lines import Place
from nnx_state.audit.programs import Program, program, reused
from nnx_state.audit.table import Row


class Call:
    """What calls of a model do; each call is made when a rule asks for it first.

    Args:
        model: with numbers; it is not changed.
        inputs: what is called, and with what; None if nothing is called.

    Raises:
        CallError: If the model cannot be called with them.
    """

    def __init__(self, model: nnx.Module, inputs: Inputs | None) -> None:
        self._model = model
        self._inputs = inputs
        self._training = Effects() if inputs is None else effects(copied(model, train=True), inputs)

    @property
    def written(self) -> dict[str, str]:
        """Return what a call in training writes, by path: how much it changes, in words."""
        return self._training.written

    @property
    def settings(self) -> dict[str, tuple[str, str]]:
        """Return the static values that a call changes, by path, before and after."""
        return self._training.settings

    @property
    def added(self) -> list[Row]:
        """Return the rows of the plain arrays that a call adds to the model."""
        return self._training.added

    @property
    def spoilt(self) -> dict[str, int]:
        """Return how many numbers are NaN or infinite after a call in training, by path."""
        return self._training.spoilt

    @cached_property
    def evaluation(self) -> Evaluation:
        """Return what a call does that is told to evaluate."""
        return Evaluation() if self._inputs is None else evaluation(self._model, self._inputs)

    @property
    def unused(self) -> set[str]:
        """Return the paths of the Params on which no output depends."""
        return self._program.unused

    @property
    def lost(self) -> set[str]:
        """Return the paths of the Variables whose writing is lost in a transform of JAX."""
        return self._program.lost

    @property
    def forms(self) -> list[dict[str, str]]:
        """Return the shapes and dtypes of each leaf, after each of up to two calls."""
        return self._program.forms

    @cached_property
    def limits(self) -> dict[str, float]:
        """Return where the floats that count stand still: the number that a call leaves as it is, by path."""
        if self._inputs is None:
            return {}
        found = {path: limit(self._model, self._inputs, path, step) for path, step in self._training.steps.items()}
        return {path: limit for path, limit in found.items() if limit is not None}

    @cached_property
    def reused(self) -> tuple[str, Place | None] | None:
        """Return what JAX says where two draws take one key, in two calls, and the line; None where none do."""
        return None if self._inputs is None else reused(self._model, self._inputs)

    @cached_property
    def _program(self) -> Program:
        return Program() if self._inputs is None else program(self._model, self._inputs)
