"""Rules of labels: values with the type of another role."""

import inspect
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.audit.rules.base import (
    ERROR,
    NOTE,
    WARNING,
    Found,
    Model,
    count_numbers,
    dtype_name,
    has_numbers,
    is_float,
    rule,
    with_article,
)
from nnx_state.audit.table import Row

WEIGHTS = {"kernel", "bias", "weight", "weights", "scale", "embedding", "w", "b"}
BRING_KEYS = {"rngs", "rng", "key"}  # arguments from which a layer draws


@rule("integer-param", ERROR, "a Param that is no float")
def _integer_param(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Param):
        for array in row.arrays[:1]:
            if not jnp.issubdtype(array.dtype, jnp.inexact):
                yield Found(
                    row,
                    f"a Param of {dtype_name(array)}: `nnx.grad` and `nnx.value_and_grad` of this model raise a "
                    "TypeError.",
                    "`nnx.Variable(…)`, or a type of your own, for what counts, indexes or draws.",
                )


@rule("plain-weight", WARNING, "a weight that is a plain array")
def _plain_weight(model: Model) -> Iterator[Found]:
    params = sum(count_numbers(row) for row in model.variables(nnx.Param))
    for row in model.rows:
        if row.home == "array" and row.is_attribute and row.name in WEIGHTS and is_float(row) and not _is_constant(row):
            size = count_numbers(row)
            yield Found(
                row,
                f"a weight without a Variable: `nnx.grad` gives its {size} numbers no gradient, beside the {params} of "
                "the Params, and no optimizer changes them.",
                "`nnx.Param(…)` around it; `nnx.Variable(…)` if it must not be trained.",
            )


def _is_constant(row: Row) -> bool:
    """Tell whether an array is a stencil or the like: it is no fill, and its layer takes nothing to draw it from."""
    arguments = inspect.signature(row.owner.__init__).parameters.values()  # type: ignore[misc]  # of this very class
    takes_anything = any(one.name in BRING_KEYS or one.kind is one.VAR_KEYWORD for one in arguments)
    return not takes_anything and any(has_numbers(one) and bool(one.min() != one.max()) for one in row.arrays)


@rule("variable-weight", WARNING, "a weight that is a plain Variable")
def _variable_weight(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Variable):
        if type(row.held) is nnx.Variable and row.name in WEIGHTS and is_float(row):
            yield Found(
                row,
                f"a weight that is a Variable and no Param: its {count_numbers(row)} numbers get no gradient by "
                "default, and an optimizer with `wrt=nnx.Param` leaves them as they are.",
                "`nnx.Param(…)`; a type of your own, such as `class Frozen(nnx.Variable)`, if it must not be trained.",
            )


@rule("other-role", NOTE, "a type of NNX that is used for another role")
def _other_role(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.BatchStat):
        if row.arrays and not is_float(row):
            yield Found(
                row,
                f"a BatchStat of {dtype_name(row.arrays[0])}: what averages all BatchStats, over devices or over time, "
                "makes a fraction of it.",
                "`nnx.Variable(…)`, or a type of your own, for what counts.",
            )
    for row in model.variables(nnx.RngState):
        if not issubclass(row.owner, nnx.RngStream | nnx.Rngs) and not any(map(_is_key, row.arrays)):
            yield Found(
                row,
                f"{with_article(row.home)} that belongs to no random stream: what leaves out or resets random "
                "state, as `nnx.Not(nnx.RngState)` does for a checkpoint, takes it along.",
                "`nnx.Variable(…)`, or a type of your own, for what counts.",
            )


def _is_key(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jax.dtypes.prng_key))
