"""How the lessons write the path of a leaf: its parts joined by dots, such as `layers.0.kernel`."""

from collections.abc import Iterator
from typing import Any

from flax import nnx


def dotted(path: tuple[Any, ...]) -> str:
    """Return a path as text."""
    return ".".join(map(str, path))


def leaves(node: nnx.Pytree | nnx.State[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each path of a module, an optimizer or a State, as text, with its Variable or bare array."""
    state = node if isinstance(node, nnx.State) else nnx.state(node)
    for path, leaf in nnx.to_flat_state(state):
        yield dotted(path), leaf
