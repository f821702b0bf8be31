"""What is wrong with an attribute of a module: its wrapper, and how it differs from the array that it should hold."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt
from nnx_state.practice.values import article, close, describe, home, is_array, listed

SPECIAL = (nnx.BatchStat, nnx.Cache, nnx.Intermediate, nnx.RngState)  # what NNX itself finds by type


def role(attempt: Attempt, model: nnx.Module, name: str, wanted: type[nnx.Variable[Any]]) -> Iterator[Finding]:
    """Yield what is wrong with the home of an attribute: what wraps it, not what it holds.

    Where a Variable is wanted, one of an own type will do; Params and NNX's other types will not.

    Args:
        attempt: the file that the model comes from.
        model: a module of the attempt.
        name: the attribute.
        wanted: `nnx.Param`, `nnx.Variable`, or a type of the attempt.
    """
    expected = f"{article(wanted.__name__)} in `{name}`"
    if not hasattr(model, name):
        own = [f"`{other}`" for other in own_attributes(model)]
        seen, line = f"the module has {listed(own)}", attempt.line(type(model).__name__)
        yield Finding("missing", name, seen, expected, line)
        return
    value = getattr(model, name)
    kind = home(value)
    other = kind == "param" or isinstance(value, SPECIAL)
    if isinstance(value, wanted) and not (wanted is nnx.Variable and other):
        return
    if kind == "variable" and wanted is not nnx.Param:
        kind = "type"
    seen, line = f"{describe(value)} in `{name}`", attempt.line(name, type(model).__name__)
    if kind == "array" and line and f"{wanted.__name__}(" in attempt.source.split("\n")[line - 1]:
        seen += f": what is computed from {article(wanted.__name__)} is an array"
    yield Finding(kind, name, seen, expected, line)


def difference(value: Any, wanted: Any) -> str:
    """Return the first of `shape`, `dtype` and `value` in which a value is another than the wanted one, or nothing."""
    if np.shape(value) != np.shape(wanted):
        return "shape"
    if is_array(wanted) and value.dtype != wanted.dtype:
        return "dtype"
    return "" if close(value, wanted) else "value"


def own_attributes(model: nnx.Module) -> list[str]:
    """Return the names of the attributes that an attempt has given a module."""
    return [name for name in vars(model) if not name.startswith("_")]
