"""How far a float can count."""

import math
from typing import Any

import jax.numpy as jnp
from flax import nnx

from nnx_state._paths import leaves
from nnx_state.audit.calling import Inputs, called, copied, kept


def limit(model: nnx.Module, inputs: Inputs, path: str, step: float) -> float | None:
    """Return the number from which on a call does not raise a float any more; None where it did not count."""
    leaf = _leaf(model, path)
    if isinstance(leaf, nnx.Param) or not isinstance(leaf, nnx.Variable):
        return None
    kind = jnp.finfo(leaf.get_raw_value().dtype)  # type: ignore[no-untyped-call]
    highest = 2.0 ** (kind.nmant + 1 + math.ceil(math.log2(step)))
    if highest > float(kind.max):
        return None
    counts = [_counted(model, inputs, path, start) for start in (step, highest)]
    return highest if counts == [2 * step, highest] else None  # twice a float is exact


def _counted(model: nnx.Module, inputs: Inputs, path: str, start: float) -> float:
    """Return what a float holds after a call in training that began with a number."""
    copy = copied(model, train=True)
    variable = _leaf(copy, path)
    variable.set_raw_value(jnp.full_like(variable.get_raw_value(), start))
    with kept(copy):
        called(copy, inputs)
        return float(_leaf(copy, path).get_raw_value().item())


def _leaf(model: nnx.Module, path: str) -> Any:
    return dict(leaves(model))[path]
