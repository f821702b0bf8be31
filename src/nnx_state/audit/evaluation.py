"""What a call does that is told to evaluate."""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.audit.calling import EVALUATES, CallError, Inputs, called, copied, evaluating, kept, modes
from nnx_state.audit.effects import written


@dataclass(frozen=True)
class Evaluation:
    """What a call does that is told to evaluate.

    Attributes:
        told: the arguments that tell it so, such as `"train=False"`; nothing where `model.eval()` does.
        written: how much it changes each leaf that it writes, in words, by path.
        apart: how much the outputs of two such calls differ, at most; 0 if they do not, or cannot be compared.
    """

    told: str = ""
    written: dict[str, str] = field(default_factory=dict)
    apart: float = 0.0


def evaluation(model: nnx.Module, inputs: Inputs) -> Evaluation:
    """Call a copy that is told to evaluate: by the arguments that tell its mode, or else by `model.eval()`.

    Where arguments tell it, the attributes of the layers stay as they are.
    """
    if not (names := modes(model, inputs)):
        return _evaluated(copied(model, train=False), inputs, "")
    if (bound := evaluating(model, inputs, names)) is None:
        return Evaluation()
    told = ", ".join(f"{name}={EVALUATES[name]}" for name in sorted(names))
    try:
        return _evaluated(nnx.clone(model, arrays=True), bound, told)
    except CallError:  # it cannot evaluate with these inputs
        return Evaluation()


def _evaluated(copy: Any, inputs: Inputs, told: str) -> Evaluation:
    wrote = written(copy, inputs)
    return Evaluation(told, wrote, _apart(copy, inputs) if wrote else 0.0)


def _apart(copy: Any, inputs: Inputs) -> float:
    """Return by how much the floats that two calls return differ."""
    try:
        with kept(copy):
            first, second = ([*filter(_is_float, jax.tree.leaves(called(copy, inputs)))] for _ in range(2))
    except CallError:  # such as a cache that is full
        return 0.0
    if [array.shape for array in first] != [array.shape for array in second]:
        return 0.0
    pairs = [(old, new) for old, new in zip(first, second, strict=True) if old.size]
    most = max((float(abs(new - old).max()) for old, new in pairs), default=0.0)
    return most if math.isfinite(most) else 0.0


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.inexact)
