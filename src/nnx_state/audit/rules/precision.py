"""Rules of numbers that their dtype cannot hold, and of those that are none."""

import functools
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy
from flax import nnx

from nnx_state.audit.rules.base import (
    ERROR,
    WARNING,
    Found,
    Model,
    count_numbers,
    dtype_name,
    has_numbers,
    rule,
    with_article,
)

MOMENTUM = 0.99  # the default of `nnx.BatchNorm`
WHERE_FROM = {  # what is not finite, and what to write
    nnx.Param: "`nnx.Variable(…)` for a mask that is infinite on purpose; otherwise a state from before the step that "
    "made it, with a smaller rate or clipped gradients.",
    nnx.BatchStat: "a test of the batch before the average takes it in, such as `jnp.where(jnp.isfinite(new), new, "
    "old)`; and a state from before.",
}


@rule("half-average", WARNING, "a running average in half precision")
def _half_average(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.BatchStat):
        for array in row.arrays[:1]:
            if jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize == 2:
                yield Found(
                    row,
                    f"a running average in {dtype_name(array)}, which rounds away small steps: with a momentum of "
                    f"{MOMENTUM}, the average of ones stands still at {_standstill(array.dtype):.2g}.",
                    "float32 for averages, whatever the weights and the inputs have.",
                )


@functools.cache
def _standstill(dtype: Any) -> float:
    """Return where a running average of ones that begins at zero stands still."""
    momentum, rest = (numpy.array(number, dtype) for number in (MOMENTUM, 1 - MOMENTUM))
    average, last = numpy.array(0, dtype), None
    while average != last:
        average, last = (momentum * average + rest).astype(dtype), average
    return float(average)


@rule("not-finite", ERROR, "a Param or a running average that is NaN or infinite")
def _not_finite(model: Model) -> Iterator[Found]:
    for kind in (nnx.Param, nnx.BatchStat):
        for row in model.variables(kind):
            floats = [one for one in row.arrays if has_numbers(one) and jnp.issubdtype(one.dtype, jnp.inexact)]
            count = sum(int((~jnp.isfinite(array)).sum()) for array in floats)
            spoilt = model.call.spoilt.get(row.path, 0)
            when = " after one call in training" if spoilt and not count else ""
            if count or spoilt:
                yield Found(
                    row,
                    f"{with_article(kind.__name__)} with NaN or infinity in {count or spoilt} of "
                    f"{count_numbers(row)} elements{when}: what is added to these or multiplied by them stays so.",
                    WHERE_FROM[kind],
                )


@rule("float-counter", WARNING, "a counter in a float, which stands still", needs="inputs")
def _float_counter(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Variable):
        if row.path in model.call.limits:
            (array,) = row.arrays
            yield Found(
                row,
                f"a counter in {dtype_name(array)}: at {model.call.limits[row.path]:.0f} a call leaves it as it is, "
                "since the next number is rounded away.",
                "`nnx.Variable(jnp.array(0))`, an integer, which counts to 2147483647.",
            )
