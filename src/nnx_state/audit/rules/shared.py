"""Rules of what two places of a model have in common."""

from collections.abc import Iterator
from typing import Any

import jax
from flax import nnx

from nnx_state.audit.rules.base import NOTE, WARNING, Found, Model, has_numbers, is_float, rule
from nnx_state.audit.table import Row


@rule("same-array", WARNING, "one array in two Params")
def _same_array(model: Model) -> Iterator[Found]:
    params = list(model.variables(nnx.Param))
    first: dict[int, Row] = {}
    for row in params:
        for array in row.arrays:
            other = first.setdefault(id(array), row) if has_numbers(array) else row
            if other is not row and not _is_copied_layer(params, row, other):
                yield Found(
                    row,
                    f"a Param that holds the very array of `{other.path}`: they begin equal, one step of an optimizer "
                    "takes them apart, and a function that donates the model refuses both.",
                    "the same Variable in both places if they are tied; `jnp.copy(…)` if they are not.",
                )


def _is_copied_layer(params: list[Row], row: Row, other: Row) -> bool:
    """Tell whether two layers of one class share all arrays, as a target network begins: its owner knows that."""
    mine, others = ([one for one in params if one.parent == of.parent] for of in (row, other))
    arrays = [{one.name: [id(array) for array in one.arrays] for one in each} for each in (mine, others)]
    return row.owner is other.owner and row.parent != other.parent and arrays[0] == arrays[1]


@rule("same-draw", NOTE, "two Params with the same random numbers")
def _same_draw(model: Model) -> Iterator[Found]:
    first: dict[Any, Row] = {}
    for row in model.variables(nnx.Param):
        for array in row.arrays[:1]:
            if not (has_numbers(array) and is_float(row) and array.size):
                continue
            numbers = jax.device_get(array)
            if numbers.min() == numbers.max():  # zeros, ones: they were not drawn
                continue
            other = first.setdefault((numbers.shape, str(numbers.dtype), numbers.tobytes()), row)
            if other is not row and array is not other.arrays[0]:
                yield Found(
                    row,
                    f"its {array.size} numbers are those of `{other.path}`: both were drawn from one key, or are one "
                    "constant, so that two units that look alike learn alike.",
                    "one `rngs` for the whole model, which gives each layer a key of its own; `nnx.Variable(…)` for a "
                    "constant.",
                )


@rule("tied-param", NOTE, "a Param with several paths")
def _tied_param(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Param):
        if row.also:
            others = " and ".join(f"`{path}`" for path in row.also)
            yield Found(
                row,
                f"a Param that is {others} too: NNX keeps it one, and `jax.jit`, `jax.grad` and `jax.tree.map` make "
                "one for each path, with a gradient each, so that an update takes them apart.",
                "the transforms of NNX around this model; or one attribute, which both places read.",
            )
