"""How the lessons write what a leaf holds: `float32[4, 2]`, or `Param float32[4, 2]` with its type."""

from typing import Any

import jax
from flax import nnx


def spec(leaf: Any) -> Any:
    """Return the dtype and shape of a Variable or bare array; a Variable that holds a tree gives a tree of them."""
    return jax.tree.map(_spec, leaf.get_raw_value() if isinstance(leaf, nnx.Variable) else leaf)


def described(leaf: Any) -> str:
    """Return the type of a leaf and its spec."""
    kind = type(leaf).__name__ if isinstance(leaf, nnx.Variable) else "array"
    return f"{kind} {spec(leaf)}"


def _spec(value: Any) -> str:
    array = value if hasattr(value, "dtype") else jax.typeof(value)  # a Variable may hold a Python number
    return f"{array.dtype}{list(array.shape)}"
