"""Call copies of a model, and see what the calls do to them."""

import inspect
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy
from flax import nnx

from nnx_state._bits import bits, inside
from nnx_state._paths import dotted, leaves
from nnx_state.homes import kinds

Inputs = tuple[Any, ...] | dict[str, Any]
MODES = {"train", "training", "is_training", "deterministic", "use_running_average", "inference"}


@dataclass(frozen=True)
class Call:
    """What calls of a model did; without a call, nothing.

    Attributes:
        written: what a call in training writes, by path: how much it changed, in words.
        written_in_eval: the same after `model.eval()`.
        unused: the paths of the Params on which no output depends.
        settings: the static numbers that a call changes, by path, before and after.
    """

    written: dict[str, str] = field(default_factory=dict)
    written_in_eval: dict[str, str] = field(default_factory=dict)
    unused: set[str] = field(default_factory=set)
    settings: dict[str, tuple[Any, Any]] = field(default_factory=dict)


class CallError(Exception):
    """The model raised when it was called, or cannot be called."""


def call(model: nnx.Module, inputs: Inputs) -> Call:
    """Call copies of a model in training and in evaluation.

    Args:
        model: with numbers; it is not changed.
        inputs: the positional arguments of the call, or a dict of keyword arguments.

    Raises:
        CallError: If the model cannot be called with them.
    """
    written, settings = _written(model, inputs, train=True)
    in_eval = {} if _takes_a_mode(model) else _written(model, inputs, train=False)[0]
    return Call(written, in_eval, _unused(model, inputs), settings)


def _takes_a_mode(model: nnx.Module) -> bool:
    """Tell whether a call is told its mode by an argument, so that `model.eval()` alone does not say it."""
    if not callable(model):
        return False
    return bool(MODES & inspect.signature(type(model).__call__).parameters.keys())


def _copied(model: nnx.Module, *, train: bool) -> Any:
    copy: Any = nnx.clone(model, arrays=True)
    (copy.train if train else copy.eval)()
    return copy


def _written(model: nnx.Module, inputs: Inputs, *, train: bool) -> tuple[dict[str, str], dict[str, tuple[Any, Any]]]:
    copy = _copied(model, train=train)
    before, settings = _numbers(copy), _settings(copy)
    _called(copy, inputs)
    after = _numbers(copy)
    changed = {path: _change(before[path], after[path]) for path in before if path in after}
    later = _settings(copy)
    moved = {
        path: (value, later[path]) for path, value in settings.items() if path in later and _differs(value, later[path])
    }
    return {path: change for path, change in changed.items() if change}, moved


def _differs(before: Any, after: Any) -> bool:
    return before is not after and bool(before != after)  # one NaN is itself, and not equal to itself


def _called(model: Any, inputs: Inputs) -> Any:
    if not callable(model):
        raise CallError(f"its class {type(model).__name__} has no __call__, so that it cannot be called.")
    try:
        return model(**inputs) if isinstance(inputs, dict) else model(*inputs)
    except Exception as error:
        raise CallError(f"{type(error).__name__}: {error}") from error


def _numbers(model: nnx.Module) -> dict[str, tuple[Any, list[Any]]]:
    """Return what each leaf holds: its bits, and copies of its arrays, since a call may write into them."""
    return {
        path: (bits(leaf, "audit"), [numpy.array(inside(jnp.asarray(value))) for value in jax.tree.leaves(leaf)])
        for path, leaf in leaves(model)
    }


def _change(before: tuple[Any, list[Any]], after: tuple[Any, list[Any]]) -> str:
    """Say how much a leaf changed; nothing where it did not."""
    if before[0] == after[0]:
        return ""
    shapes = [[array.shape for array in arrays] for _, arrays in (before, after)]
    if shapes[0] != shapes[1]:
        return "its shape is another one"
    pairs = zip(before[1], after[1], strict=True)
    most = max(abs(new.astype(complex) - old.astype(complex)).max() for old, new in pairs)
    return f"by up to {most:.3g}"


def _settings(model: nnx.Module) -> dict[str, Any]:
    """Return the static numbers and strings of a model, by path; train and eval mode are set before they are read."""
    homes, nodes = kinds(model), nnx.iter_graph(model)
    found = {dotted(path): value for path, value in nodes if homes.get(dotted(path)) == "static"}
    return {path: value for path, value in found.items() if isinstance(value, bool | int | float | str)}


def _unused(model: nnx.Module, inputs: Inputs) -> set[str]:
    """Return the Params on which, by the jaxpr of a call in training, neither an output nor other state depends."""
    parts: Any = nnx.split(_copied(model, train=True), nnx.Param, ...)
    graphdef, params, rest = parts

    def outputs(params: Any, rest: Any) -> Any:
        merged = nnx.merge(graphdef, params, rest)
        result = [leaf for leaf in jax.tree.leaves(_called(merged, inputs)) if isinstance(leaf, jax.Array)]
        return result, nnx.state(merged, nnx.Not(nnx.Param))

    try:
        traced = jax.make_jaxpr(outputs)(params, rest).jaxpr
    except CallError:
        return set()  # it works on numbers alone, and has no program that could be read
    needed = {variable for variable in traced.outvars if not hasattr(variable, "val")}
    for equation in reversed(traced.eqns):  # an inner jaxpr counts as a whole: what goes into it may be needed
        if needed & set(equation.outvars) or equation.effects:
            needed |= {variable for variable in equation.invars if not hasattr(variable, "val")}
    names = [path for path, leaf in leaves(params) for _ in jax.tree.leaves(leaf)]
    inputs_of_params = traced.invars[: len(names)]
    used = {name for name, variable in zip(names, inputs_of_params, strict=True) if variable in needed}
    return set(names) - used
