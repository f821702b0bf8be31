"""Walk what a module holds outside of its state."""

import functools
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import jax
from flax import nnx

from nnx_state._paths import leaves

FRAMEWORKS = frozenset({"flax", "jax", "optax", "builtins", *sys.stdlib_module_names})


def hidden(model: nnx.Pytree) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the path and the value of each Variable and JAX array that is in a module and not in its state."""
    for path, value in walk(model):
        if isinstance(value, (nnx.Variable, jax.Array)):
            yield path, value


def walk(model: nnx.Pytree) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the path and the value of all that a module holds, itself included, but the leaves of its state."""
    seen = {id(leaf) for _, leaf in leaves(nnx.state(model))}
    to_visit: list[tuple[tuple[Any, ...], Any]] = [((), model)]
    for path, value in to_visit:  # the list grows, and keeps alive what `seen` knows by its id
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield path, value
        if not isinstance(value, (nnx.Variable, jax.Array)):
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
            return [*_captured(value), *_defaults(value)]
        case type() | types.ModuleType():
            return []  # they belong to the program
    own: Iterable[tuple[Any, Any]] = vars(value).items() if hasattr(value, "__dict__") else []
    return [*own, *_of_class(type(value))] if isinstance(value, nnx.Pytree) else own


def _captured(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function holds of the function around it."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if cell != types.CellType():  # an empty one
            yield name, cell.cell_contents


def _defaults(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the default arguments of a function."""
    code, defaults = function.__code__, function.__defaults__ or ()
    yield from zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _of_class(owner: type) -> Iterator[tuple[str, Any]]:
    """Yield the attributes and methods of a class and its bases, but those of frameworks: its objects share them."""
    for base in owner.__mro__:
        if not is_foreign(base):
            yield from ((name, value) for name, value in vars(base).items() if not isinstance(value, type))


def is_foreign(owner: type) -> bool:
    """Tell whether a class belongs to Flax or JAX, in whose files nobody mends their model."""
    return owner.__module__.partition(".")[0] in FRAMEWORKS
