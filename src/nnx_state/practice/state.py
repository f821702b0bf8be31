"""What the state of a model of an attempt has: its leaves by path, and what a filter finds in it."""

from typing import Any

import numpy as np
from flax import nnx

from nnx_state._paths import leaves
from nnx_state.practice.values import listed, raw

Node = nnx.Pytree | nnx.State[Any, Any]


def held(node: Node) -> dict[str, Any]:
    """Return the leaves of a module, an optimizer or a State by their dotted paths."""
    return dict(leaves(node))


def copied(node: Node) -> dict[str, np.ndarray]:
    """Return copies of the numbers that the leaves of a module, an optimizer or a State hold, by their dotted paths."""
    return {path: raw(leaf) for path, leaf in leaves(node)}


def attributes(model: nnx.Module, only: Any = ...) -> list[str]:
    """Return the attributes of a module that have a leaf in the state, or in what a filter takes of it, sorted."""
    return sorted({str(path[0]) for path, _ in nnx.to_flat_state(nnx.state(model, only))})


def found_by(model: nnx.Module, only: Any) -> str:
    """Return the attributes that a filter finds, as text."""
    return listed(attributes(model, only))
