"""Walk what a module holds outside of its state."""

import functools
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import jax
from flax import nnx

from nnx_state._paths import leaves


def hidden(model: nnx.Pytree) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the path and the value of each Variable and JAX array that is in a module and not in its state."""
    seen = {id(leaf) for _, leaf in leaves(nnx.state(model))}
    to_visit: list[tuple[tuple[Any, ...], Any]] = [((), model)]
    for path, value in to_visit:  # the list grows, and keeps alive what `seen` knows by its id
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, nnx.Variable | jax.Array):
            yield path, value
        else:
            to_visit += [((*path, name), part) for name, part in _parts(value)]


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return what a value holds, by name."""
    match value:
        case dict():
            return value.items()
        case list() | tuple() | set() | frozenset() | deque() | nnx.List():
            return enumerate(value)
        case functools.partial():
            return [("func", value.func), ("args", value.args), *value.keywords.items()]
        case types.MethodType():
            return [("self", value.__self__)]
        case types.FunctionType():
            names, cells = value.__code__.co_freevars, enumerate(value.__closure__ or ())
            return [(names[place], cell.cell_contents) for place, cell in cells if cell != types.CellType()]  # empty
        case type() | types.ModuleType():
            return []  # they belong to the program
    return vars(value).items() if hasattr(value, "__dict__") else []
