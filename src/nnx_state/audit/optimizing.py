"""Take steps with copies of an optimizer, and see what they do to copies of a model."""

import ast
import inspect
import itertools
import textwrap
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy
import optax
from flax import nnx
from flax.nnx import filterlib

from nnx_state._outcome import said
from nnx_state._paths import dotted, leaves
from nnx_state.audit.lines import Place
from nnx_state.audit.table import Row

FITS, UNTRIED = "raises nothing", "was not tried, since its rule wants more than gradients and a loss"
MOST_STEPS = 8  # after which a rule that waits, as a warm-up or `optax.MultiSteps` does, has moved something


@dataclass(frozen=True)
class Step:
    """What the steps of an optimizer do to a model; without an optimizer, nothing.

    Attributes:
        optimizer: the optimizer itself.
        rows: its own values: its filter, then its state.
        trained: the paths that its filter matches in the model.
        gradients: the paths that have a gradient, or None where that was not said.
        first: what the first update with these gradients does, in words.
        moved: by how much that update, with gradients of 1, moves each value, by path.
        decayed: what a step takes of a value without any gradient, by path, as a share of it.
        misfits: the paths whose state in the optimizer is missing, too much or of another shape.
        is_foreign: whether the optimizer holds another model.
    """

    optimizer: nnx.Optimizer[Any] | None = None
    rows: list[Row] = field(default_factory=list)
    trained: set[str] = field(default_factory=set)
    gradients: set[str] | None = None
    first: str = FITS
    moved: dict[str, float] = field(default_factory=dict)
    decayed: dict[str, float] = field(default_factory=dict)
    misfits: list[str] = field(default_factory=list)
    is_foreign: bool = False


def optimizer_of(model: nnx.Module, given: Any) -> tuple[nnx.Optimizer[Any], Place | None]:
    """Return an optimizer that was given, or that a function makes of a model, and the line that chose its filter.

    Args:
        model: a copy of the model.
        given: an `nnx.Optimizer`, or a function that takes the model and returns one.

    Raises:
        TypeError: If it is neither, or the function returns something else.
        ValueError: If the function raises.
    """
    place, made = None, given
    if callable(given) and not isinstance(given, type | nnx.Module):
        place = _place(given)
        try:
            made = given(model)
        except Exception as error:
            raise ValueError(f"optimizer could not be made of the model: {said(error)}") from error
    if not isinstance(made, nnx.Optimizer):
        kind = made if isinstance(made, type) else type(made)
        raise TypeError(
            f"optimizer must be an nnx.Optimizer, or a function that takes the model and returns one, got an object of "
            f"{kind.__module__.partition('.')[0]}.{kind.__name__}: wrap one of Optax, as in "
            "nnx.Optimizer(model, tx, wrt=nnx.Param)."
        )
    return made, place


def step(model: nnx.Module, given: Any, gradients: Any = None) -> Step:
    """Take steps with copies of a model and its optimizer.

    Args:
        model: with numbers; it is not changed.
        given: its optimizer, or a function that makes one; the optimizer is not changed.
        gradients: the filter of the gradient, an `nnx.DiffState`, or the State that `nnx.grad` returned.

    Raises:
        TypeError: If it is no optimizer of NNX, or `gradients` is no filter.
        ValueError: If the optimizer cannot be made, or raises for a reason of its own.
    """
    copy = nnx.clone(model, arrays=True)
    optimizer, place = optimizer_of(copy, given)
    trained = {path for path, _ in leaves(nnx.state(copy, optimizer.wrt))}
    with_gradient = None if gradients is None else _with_gradient(copy, gradients)
    held = getattr(optimizer, "model", None)
    is_foreign = held is not None and held is not (model if isinstance(given, nnx.Optimizer) else copy)
    fresh = _fresh(copy, optimizer)
    misfits = _misfits(fresh, optimizer, trained)
    first, moved = _first(copy, optimizer, trained if with_gradient is None else with_gradient)
    return Step(
        optimizer,
        _rows(optimizer, place),
        trained,
        with_gradient,
        first,
        moved,
        {} if misfits else _decayed(copy, optimizer),
        misfits,
        is_foreign,
    )


def _rows(optimizer: nnx.Optimizer[Any], place: Place | None) -> list[Row]:
    """Return a row for the filter of an optimizer, and one for each leaf of its own state."""
    around = (type(optimizer),)
    filtered = Row("optimizer.wrt", "static", optimizer.wrt, around, True, (), place)
    return [filtered] + [
        Row(f"optimizer.{path}", type(leaf).__name__, leaf, around, False, (), place)
        for path, leaf in _state(optimizer)
    ]


def _state(optimizer: nnx.Optimizer[Any]) -> list[tuple[str, Any]]:
    """Return the leaves of an optimizer without those of a model that it holds."""
    return list(leaves(nnx.state(optimizer, nnx.OptState)))


def _place(maker: Any) -> Place | None:
    """Return the line of a function that says `wrt=`, or else its first."""
    try:
        lines, first = inspect.getsourcelines(maker)
        file = inspect.getsourcefile(maker) or ""
    except (OSError, TypeError):
        return None
    if file == "<string>":  # some text that was executed; Python 3.13 takes the program of `python -c` for it
        return None
    try:
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except SyntaxError:
        return Place(file, first)  # a lambda in the middle of an expression
    said = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "wrt"]
    return Place(file, first + min(said, default=1) - 1)


def _with_gradient(model: nnx.Module, gradients: Any) -> set[str]:
    if isinstance(gradients, nnx.State):
        return {path for path, _ in leaves(gradients)}
    wanted = gradients.filter if isinstance(gradients, nnx.DiffState) else gradients
    try:
        matches = filterlib.to_predicate(wanted)
        told = [matches(path, leaf) for path, leaf in nnx.to_flat_state(nnx.state(model))]
        is_filter = all(isinstance(one, bool | numpy.bool) for one in told)
    except Exception:  # another function may raise anything
        is_filter = False
    if not is_filter:
        raise TypeError(
            f"gradients must be the filter of the gradient, an nnx.DiffState, or the State that nnx.grad returned, got "
            f"{type(wanted).__name__}: write gradients=nnx.Param."
        )
    return {path for path, _ in leaves(nnx.state(model, wanted))}


def _fresh(model: nnx.Module, optimizer: nnx.Optimizer[Any], wrt: Any = None) -> nnx.Optimizer[Any]:
    """Return an optimizer with the same rule, and the same filter or another, that is made for this model now."""
    rule = optax.with_extra_args_support(optimizer.tx)
    try:
        fresh: nnx.Optimizer[Any] = nnx.Optimizer(model, rule, wrt=optimizer.wrt if wrt is None else wrt)
    except Exception as error:
        raise ValueError(f"optimizer cannot be made anew for this model: {said(error)}") from error
    return fresh


def _misfits(fresh: nnx.Optimizer[Any], optimizer: nnx.Optimizer[Any], trained: set[str]) -> list[str]:
    """Return the paths of the model, or of the model that it was made for, whose state is not as a new one has it."""
    wanted, found = ({path: _shapes(leaf) for path, leaf in _state(one)} for one in (fresh, optimizer))
    misfits = {path for path in wanted | found if wanted.get(path) != found.get(path)}
    mirrors = {path: name for path in wanted for name in trained if path.endswith(f".{name}")}
    above = {path.removesuffix(name) for path, name in mirrors.items()}  # such as `opt_state.0.mu.`
    outer = {path: path.removeprefix(one) for path in misfits for one in above if path.startswith(one)}
    return sorted({mirrors.get(path) or outer.get(path, path) for path in misfits})


def _shapes(leaf: Any) -> list[Any]:
    return [jnp.shape(array) for array in jax.tree.leaves(leaf)]


def _first(model: nnx.Module, optimizer: nnx.Optimizer[Any], with_gradient: set[str]) -> tuple[str, dict[str, float]]:
    """Say what the first update does: which error it raises, or which value gets another shape; and what it moves."""
    copy, own = nnx.clone((model, optimizer), arrays=True)
    own.tx = optax.with_extra_args_support(own.tx)
    before = {path: jax.tree.leaves(leaf) for path, leaf in leaves(copy)}
    flat = [(path, leaf) for path, leaf in nnx.to_flat_state(nnx.state(copy)) if dotted(path) in with_gradient]
    try:
        _update(own, copy, _filled(nnx.from_flat_state(flat), 1))
    except Exception as error:
        return UNTRIED if _wants_more(error) else f"raises {type(error).__name__}", {}
    after = {path: jax.tree.leaves(leaf) for path, leaf in leaves(copy)}
    for path, arrays in after.items():
        if _shapes(arrays) != _shapes(before[path]):
            return f"gives `{path}` the shape {_shapes(arrays)[0]}, not {_shapes(before[path])[0]}", {}
    return FITS, {path: _distance(before[path], arrays) for path, arrays in after.items()}


def _distance(before: list[Any], after: list[Any]) -> float:
    """Return by how much the floats of a value have moved, at most."""
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if jnp.issubdtype(new.dtype, jnp.floating)]
    return max((float(abs(new - old).max()) for old, new in pairs if new.size), default=0.0)


def _update(optimizer: nnx.Optimizer[Any], model: nnx.Module, grads: Any) -> Any:
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
        return nnx.Optimizer.update(optimizer, model, grads, value=jnp.zeros(()))


def _wants_more(error: Exception) -> bool:
    """Tell an update that wants more than a gradient and a loss, as a line search does."""
    return isinstance(error, TypeError) and "keyword-only argument" in str(error)


def _filled(state: Any, number: int) -> Any:
    return jax.tree.map(lambda array: jnp.full_like(array, number), state)


def _decayed(model: nnx.Module, optimizer: nnx.Optimizer[Any]) -> dict[str, float]:
    """Return what a step without any gradient takes of each value, as a share of it.

    What takes from ones, and leaves zeros as they are, is a decay; noise does neither.
    """
    ones, zeros = (_taken(model, optimizer, number) for number in (1, 0))
    return {path: share for path, share in ones.items() if share > 0 and not zeros[path]}


def _taken(model: nnx.Module, optimizer: nnx.Optimizer[Any], number: int) -> dict[str, float]:
    """Return what the first step that moves anything takes of values that all are one number, without a gradient."""
    floats = nnx.All(optimizer.wrt, _is_float)  # a gradient raises where it meets something else
    parts: Any = nnx.split(model, floats, ...)
    graphdef, trained, rest = parts
    has_others = len(list(leaves(trained))) < len(list(leaves(nnx.state(model, optimizer.wrt))))
    copy: Any = nnx.merge(graphdef, _filled(trained, number), rest)
    taken: dict[str, float] = {}
    try:
        fresh = _fresh(copy, optimizer, floats)
    except ValueError:  # such as a mask by paths, which wants all of them
        return {}
    for _ in range(MOST_STEPS):
        zeros = _filled(nnx.state(copy, floats), 0)  # anew: an update makes a State of a dict in a Param
        try:
            updates = _update(fresh, copy, zeros)
        except Exception as error:
            if has_others or _wants_more(error):
                return {}
            raise ValueError(f"optimizer raises when it makes a step: {said(error)}") from error
        taken = {path: _least(arrays) for path, arrays in _by_value(trained, updates).items()}
        if any(taken.values()):
            break
    return taken


def _by_value(trained: Any, updates: Any) -> dict[str, list[Any]]:
    """Return the updates of each value: those of a dict in a Param have a path for each item."""
    found: dict[str, list[Any]] = {path: [] for path, _ in leaves(trained)}
    for path, update in leaves(updates):
        above = itertools.accumulate(path.split("."), "{}.{}".format)
        found[next(one for one in above if one in found)].append(update)
    return found


def _is_float(path: Any, leaf: Any) -> bool:
    return all(jnp.issubdtype(jnp.result_type(array), jnp.floating) for array in jax.tree.leaves(leaf))


def _least(updates: list[Any]) -> float:
    """Return the least that updates take of the numbers of a value; below 0 where they add to one."""
    return min((float(-array.max()) for array in jax.tree.leaves(updates) if array.size), default=0.0)
