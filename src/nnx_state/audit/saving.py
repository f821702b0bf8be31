"""Save a copy of a model, restore it into another copy, and see what did not come back."""

import contextlib
import inspect
import logging
import math
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy
from flax import nnx

from nnx_state._bits import bits, inside
from nnx_state._outcome import said
from nnx_state._paths import leaves
from nnx_state._specs import described

ORBAX = "orbax"  # the name of a plain round trip with Orbax, in place of a function
PATIENCE = 5.0  # seconds for a thread that a save has left
Function = Callable[..., Any]
Nodes = dict[str, Any]
Optimizer = nnx.Optimizer[Any]


@dataclass(frozen=True)
class Trip:
    """What a round trip through a checkpoint does to the leaves of a run; without one, nothing.

    Attributes:
        leaves: how many leaves were saved.
        forgotten: the paths whose value is that of before the restore; those of an optimizer begin with `optimizer.`.
        changed: what came back in the place of a leaf, by path, in words.
        refused: why Orbax saves a leaf not at all, by path.
        is_plain: whether it was a plain round trip through Orbax.
    """

    leaves: int = 0
    forgotten: set[str] = field(default_factory=set)
    changed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    is_plain: bool = False


class SaveError(ValueError):
    """A save or a restore raised, or gave back something else than a run."""


def trip(model: nnx.Module, optimizer: Optimizer | None, save: Any, restore: Any = None) -> Trip:
    """Save and restore copies of a run, by functions or with Orbax alone.

    Args:
        model: with numbers; it is not changed.
        optimizer: that of the run, or None; it is not changed.
        save: `save(model, folder)`, or `save(model, optimizer, folder)`; `"orbax"` for Orbax alone.
        restore: the other half of a function.

    Raises:
        TypeError: If one of the two is no function, or is missing.
        SaveError: If one of them raises, or `restore` gives back something else than a run.
    """
    run: Nodes = {"model": model} | ({"optimizer": optimizer} if optimizer is not None else {})
    if save == ORBAX and restore is None:
        return _plain(run)
    if not (callable(save) and callable(restore)):
        raise TypeError(
            f"save and restore must be two functions, or save={ORBAX!r} alone, got {save!r} and {restore!r}: "
            "write save(model, folder) and restore(model, folder)."
        )
    return _own(run, save, restore)


def _own(run: Nodes, save: Function, restore: Function) -> Trip:
    """Save a copy of a run whose numbers are all changed, restore it into another copy, and compare bit by bit."""
    saved, target = _changed(run), nnx.clone(run, arrays=True)
    before, wanted = _leaves(run), _leaves(saved)
    with _folder() as folder, _settled():
        _call("save", save, saved, folder)
        returned = _call("restore", restore, target, folder)
    back = _leaves(_restored(target, returned))
    found = Trip(len(wanted))
    for path, leaf in wanted.items():
        if path not in back:
            found.changed[path] = "does not come back at all"
        elif _is_same(back[path], leaf):
            continue
        elif path in before and _is_same(back[path], before[path]):
            found.forgotten.add(path)
        else:
            found.changed[path] = _difference(back[path], path, wanted)
    return found


def _plain(run: Nodes) -> Trip:
    """Save a number of each array of a run with Orbax alone, and see which leaves it refuses or changes."""
    small = {path: jax.tree.map(_corner, _content(leaf)) for path, leaf in _leaves(run).items()}
    found = Trip(len(small), is_plain=True)
    parts = [small]  # halved until the leaf that Orbax refuses is alone
    for part in parts:
        try:
            back = _through_orbax(part) if part else {}
        except Exception as error:
            paths = sorted(part)
            half = len(paths) // 2
            if not half:
                found.refused[paths[0]] = said(error)
            else:
                parts += [{path: part[path] for path in some} for some in (paths[:half], paths[half:])]
            continue
        for path, value in part.items():
            if not _is_same(back[path], value):
                found.changed[path] = f"comes back as {described(back[path])}, not {described(value)}"
    return found


def _through_orbax(tree: dict[str, Any]) -> Any:
    import orbax.checkpoint as ocp  # it takes half as long to import as all of NNX

    with _folder() as folder, ocp.StandardCheckpointer() as orbax, _settled():
        orbax.save(f"{folder}/saved", tree)
        orbax.wait_until_finished()
        return orbax.restore(f"{folder}/saved", tree)


def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for a checkpoint; after a save that raised, something may still write while it goes."""
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)


@contextlib.contextmanager
def _settled() -> Iterator[None]:
    """Let a save that raises come to its end before the folder goes, and before its checkpointer is closed.

    Orbax leaves threads that make the folder yet, and that tell in its log what raised; where they find it closed,
    others wait for them, and Python waits for those when it ends.
    """
    log = logging.getLogger("absl")
    was_disabled, log.disabled = log.disabled, True
    known = set(threading.enumerate())
    try:
        yield
    except Exception:
        for thread in set(threading.enumerate()) - known:
            if type(thread) is not threading.Thread:  # those of a pool wait for more to do
                threading.Thread.join(thread, PATIENCE)  # a join of Orbax's own would raise again
        raise
    finally:
        log.disabled = was_disabled


def _corner(array: Any) -> Any:
    """Return the first number of an array, with as many axes; whether Orbax keeps it depends on the dtype alone."""
    return array[tuple(slice(1) for _ in array.shape)] if getattr(array, "shape", ()) else array


def _leaves(run: Nodes) -> dict[str, Any]:
    """Return each leaf of a run by its path: as the model says it, or below `optimizer`."""
    found = dict(leaves(nnx.state(run["model"])))
    if "optimizer" in run:
        own = nnx.state(run["optimizer"], nnx.OptState)  # without a model that it holds
        found |= {f"optimizer.{path}": leaf for path, leaf in leaves(own)}
    return found


def _content(leaf: Any) -> Any:
    return leaf.get_raw_value() if isinstance(leaf, nnx.Variable) else leaf


def _changed(run: Nodes) -> Nodes:
    """Return a copy with other numbers in every leaf, such that no two leaves hold the same."""
    draw = numpy.random.default_rng(0)
    graphdef, state = nnx.split(run)
    other: Nodes = nnx.merge(graphdef, jax.tree.map(lambda value: _other(value, draw), state))
    return other


def _other(value: Any, draw: numpy.random.Generator) -> Any:
    """Return other numbers of the same shape and dtype."""
    if isinstance(value, bool) or getattr(value, "dtype", None) == numpy.bool_:
        return value ^ True
    if isinstance(value, int | float | complex):
        return value + 1
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        numbers = draw.integers(1, 2**32, jax.random.key_data(value).shape, numpy.uint32)
        return jax.random.wrap_key_data(jnp.asarray(numbers), impl=jax.random.key_impl(value))
    old = numpy.asarray(value)
    if jnp.issubdtype(value.dtype, jnp.inexact):
        new = draw.uniform(0.5, 1.0, old.shape).astype(old.dtype)
    else:
        new = old + numpy.asarray(draw.integers(1, 7), old.dtype)
    new = numpy.where(new == old, new + numpy.ones((), old.dtype), new).astype(old.dtype)
    return jax.device_put(new, value.sharding) if isinstance(value, jax.Array) else new


def _call(name: str, function: Function, run: Nodes, folder: str) -> Any:
    """Call a function with as many of the model, the optimizer and the folder as it takes; the folder comes last."""
    names = [*run, "folder"]
    takes = count_arguments(function)
    if "optimizer" not in run and len(names) < takes < math.inf:
        raise SaveError(f"{name} takes {takes} arguments, and {', '.join(names)} are given: give the optimizer too")
    if takes < len(names):
        names = ["model", "folder"] if takes == 2 else ["folder"]
    try:
        return function(*((run | {"folder": folder})[one] for one in names))
    except Exception as error:
        raise SaveError(f"{name}({', '.join(names)}) raises {said(error)}") from error


def count_arguments(function: Function) -> float:
    """Return how many arguments a function wants by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return math.inf
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return math.inf
    wanted = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in wanted and one.default is one.empty for one in parameters)


def _restored(target: Nodes, returned: Any) -> Nodes:
    """Return the run as it is after a restore, which wrote into the target or returned what it read."""
    if returned is None:
        return target
    given = returned if isinstance(returned, tuple) else (returned,)
    back = dict(target)
    for name, one in zip(target, given, strict=False):
        if isinstance(one, nnx.Module | nnx.Optimizer):
            back[name] = one
        elif isinstance(one, nnx.State):
            try:
                nnx.update(back[name], one)
            except Exception as error:
                raise SaveError(f"restore returns a State that does not fit the {name}: {said(error)}") from error
        elif one is not None:
            raise SaveError(
                f"restore returns an object of {type(one).__name__}: let it write into the model, or return a model, "
                "a State, or a tuple of one for the model and one for the optimizer"
            )
    return back


def _is_same(left: Any, right: Any) -> bool:
    kinds = [type(one) if isinstance(one, nnx.Variable) else None for one in (left, right)]
    if kinds[0] is not kinds[1] or _has_no_numbers(left):
        return False
    return bits(left, "audit") == bits(right, "audit")


def _has_no_numbers(leaf: Any) -> bool:
    return any(isinstance(one, jax.ShapeDtypeStruct) for one in jax.tree.leaves(leaf))


def _difference(back: Any, path: str, wanted: dict[str, Any]) -> str:
    """Say what came back in the place of a leaf."""
    leaf = wanted[path]
    if _has_no_numbers(back):
        return "comes back without numbers"
    if described(back) != described(leaf):
        return f"comes back as {described(back)}, not {described(leaf)}"
    if others := [other for other, one in wanted.items() if _is_same(back, one)]:
        return f"comes back with the numbers of `{others[0]}`"
    if type(back) is not type(leaf):
        return f"comes back as a {type(back).__name__} of another class of this name"
    one, two = (jax.tree.map(lambda array: inside(jnp.asarray(array)), jax.tree.leaves(each)) for each in (back, leaf))
    count = sum(int((new != old).sum()) for new, old in zip(one, two, strict=True))
    return f"comes back with {count} of {sum(array.size for array in two)} numbers changed"
