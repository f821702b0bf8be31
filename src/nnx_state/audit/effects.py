"""What one call does to the values of a model, found by comparing all that it holds before and after."""

from dataclasses import dataclass, field
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy
from flax import nnx

from nnx_state._bits import inside
from nnx_state._paths import dotted, leaves
from nnx_state.audit.calling import Inputs, called, kept
from nnx_state.audit.table import Row, table
from nnx_state.homes import kinds

Arrays = list[numpy.ndarray[Any, Any]]
Value = TypeVar("Value")
PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Effects:
    """What one call does to the values of a model.

    Attributes:
        written: how much it changes each leaf that it writes, in words, by path.
        settings: the static values that it changes, in words, by path, before and after.
        added: the rows of the plain arrays that it adds.
        spoilt: how many numbers of each leaf are NaN or infinite after it, by path.
        steps: by how much it raises each float that holds one whole number, by path.
    """

    written: dict[str, str] = field(default_factory=dict)
    settings: dict[str, tuple[str, str]] = field(default_factory=dict)
    added: list[Row] = field(default_factory=list)
    spoilt: dict[str, int] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)


def effects(copy: nnx.Module, inputs: Inputs) -> Effects:
    """Call a copy of a model, and compare all that it holds."""
    before, settings = _numbers(copy), _settings(copy)
    with kept(copy) as changed:
        called(copy, inputs)
        after, later = _numbers(copy), _settings(copy)
        both = _both(before, after)
        wrote = _written(both)
        pairs = _both(settings, later).items()
        moved = {path: (_shown(old), _shown(new)) for path, (old, new) in pairs if _differs(old, new)}
        new = after.keys() - before.keys()
        added = [row for row in table(copy) if row.home == "array" and row.path in new] if new else []
        steps = {path: _step(*both[path]) for path in wrote}
        return Effects(
            wrote,
            moved | changed(),
            added,
            {path: _not_finite(arrays) for path, (_, arrays) in both.items()},
            {path: step for path, step in steps.items() if step > 0},
        )


def written(copy: nnx.Module, inputs: Inputs) -> dict[str, str]:
    """Call a copy of a model, and return how much it changes each leaf that it writes, in words, by path."""
    before = _numbers(copy)
    with kept(copy):
        called(copy, inputs)
        return _written(_both(before, _numbers(copy)))


def _both(before: dict[str, Value], after: dict[str, Value]) -> dict[str, tuple[Value, Value]]:
    """Return what each path held before and holds after, where both are there."""
    return {path: (value, after[path]) for path, value in before.items() if path in after}


def _written(both: dict[str, tuple[Arrays, Arrays]]) -> dict[str, str]:
    return {path: _change(*pair) for path, pair in both.items() if not _is_same(*pair)}


def _differs(before: Any, after: Any) -> bool:
    try:
        return before is not after and bool(before != after)  # one NaN is itself, and not equal to itself
    except (TypeError, ValueError):  # such as an object that has an array
        return True


def _shown(value: Any) -> str:
    """Return a static value for a sentence: the same text in each run."""
    return repr(value) if isinstance(value, PLAIN) else f"one {type(value).__name__}"


def _numbers(model: nnx.Module) -> dict[str, Arrays]:
    """Return copies of the arrays of each leaf, since a call may write into them."""
    return {
        path: [numpy.array(inside(jnp.asarray(value))) for value in jax.tree.leaves(leaf)]
        for path, leaf in leaves(model)
    }


def _is_same(before: Arrays, after: Arrays) -> bool:
    told = [[(array.shape, array.dtype, array.tobytes()) for array in arrays] for arrays in (before, after)]
    return told[0] == told[1]


def _change(before: Arrays, after: Arrays) -> str:
    """Say how much a leaf changed."""
    if [array.shape for array in before] != [array.shape for array in after]:
        return "in shape"
    pairs = zip(before, after, strict=True)
    most = max(abs(new.astype(complex) - old.astype(complex)).max() for old, new in pairs)
    return f"by up to {most:.3g}"


def _not_finite(arrays: Arrays) -> int:
    """Count the NaNs and infinities."""
    return sum(int((~numpy.isfinite(array.astype(complex))).sum()) for array in arrays)


def _step(before: Arrays, after: Arrays) -> float:
    """Return by how much a float went from one whole number to another; 0 where one is none."""
    if [array.size for array in (*before, *after)] != [1, 1] or not jnp.issubdtype(before[0].dtype, jnp.floating):
        return 0.0
    old, new = float(before[0].item()), float(after[0].item())
    return new - old if old.is_integer() and new.is_integer() else 0.0


def _settings(model: nnx.Module) -> dict[str, Any]:
    """Return the static values of a model, by path; train and eval mode are set before they are read."""
    homes, nodes = kinds(model), nnx.iter_graph(model)
    return {dotted(path): value for path, value in nodes if homes.get(dotted(path)) == "static"}
