"""Checks of the exercise Containers.

First the layers that `add` stores, and the two attributes, each by what the state has of it; then the forward pass, of
known layers, what it leaves behind and that it compiles. Last `lost`, with a module of the checks that hides Variables
in several ways, so that it is checked whatever is wrong with `Tower`.
"""

import platform
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import ACTIVATIONS, first_that_holds, formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import difference, own_attributes
from nnx_state.practice.stages import part
from nnx_state.practice.trials import tried
from nnx_state.practice.values import (
    array_of,
    close,
    content,
    describe,
    home,
    is_array,
    numbered,
    numbers,
    put,
    ramp,
    spec,
)

X = np.array([[2.0, -1.0], [-0.5, 1.5], [0.25, 3.0]], np.float32)
KERNELS = [np.array(rows, np.float32) for rows in ([[1, -2], [3, 1]], [[-1, 2], [2, -3]], [[2, 1], [-1, 1]])]
BIASES = [np.array(row, np.float32) for row in ([0.5, 1], [3, 4], [-1, -2])]
SCALE = np.array([2.0, -3.0], np.float32)
REFUSED = ("Found data", "Found unexpected data", "Cannot assign data")
Paths = set[tuple[Any, ...]]


def layer(place: int = 0) -> nnx.Linear:
    """Return a layer with known numbers, of 2 inputs and 2 outputs."""
    made: nnx.Linear = numbered(
        lambda: nnx.Linear(2, 2, rngs=nnx.Rngs(0)),
        lambda _, leaf: array_of((KERNELS if leaf.ndim == 2 else BIASES)[place]),
    )
    return made


def build(attempt: Attempt) -> Any:
    """Return a tower of the attempt with three layers."""
    tower, line = attempt.call("Tower()"), attempt.line("layers", "Tower")
    for place in range(3):
        kinds = dict.fromkeys(REFUSED, "refused")
        tried(attempt, "tower.add(layer)", "layers", kinds, line, tower=tower, layer=layer(place))
    return tower


def paths(model: Any, *only: Any) -> Paths:
    """Return the paths of the leaves of the state."""
    return {path for path, _ in nnx.to_flat_state(nnx.state(model, *only))}  # type: ignore[arg-type]


def params(tower: Any) -> Paths:
    """Return the paths of the Params of the layers."""
    return paths(tower, nnx.Param) - {("scale",), ("last",)}


def listed(found: Paths) -> str:
    """Return paths as text, three at most."""
    shown = sorted(".".join(map(str, path)) for path in found)
    return ", ".join(shown[:3]) + (", …" if len(shown) > 3 else "") or "nothing"


def names(attempt: Attempt) -> Iterator[Finding]:
    """The class is there; the function is looked for where it is tried."""
    attempt.module_class("Tower")
    yield from ()


def layers(attempt: Attempt) -> Iterator[Finding]:
    """The layers that were added are in the state, under the paths of the problem, and JAX sees them."""
    tower, line = build(attempt), attempt.line("layers", "Tower") or attempt.line("Tower")
    fresh = tried(attempt, "Tower()", "layers", dict.fromkeys(REFUSED, "shared"), line)
    held = getattr(fresh, "layers", None)
    if isinstance(held, (list, dict, nnx.List)) and len(held):
        seen = f"after three calls of `add` on one tower, a new `Tower()` has {len(held)} layers"
        raise Stop(Finding("shared", "layers", seen, "none", line))
    wanted = {("layers", place, name) for place in range(3) for name in ("kernel", "bias")}
    found = params(tower)
    seen = f"after three calls of `add` the state has {len(found)} Params of layers"
    if not found and any(isinstance(value, nnx.Linear) for _, value in nnx.iter_graph(tower)):
        yield Finding("hidden", "layers", seen, "6 Params", line, _stale(tower))
    elif len(found) < 6:
        raise Stop(Finding("unchanged", "layers", seen, "6 Params", attempt.line("add", "Tower")))
    elif found != wanted:
        yield Finding("paths", "layers", f"the state has {listed(found)}", listed(wanted), line)
    if _closed(tower):
        yield Finding("closed", "Tower", "to JAX a tower is one leaf", "a pytree of arrays", attempt.line("Tower"))


def attributes(attempt: Attempt) -> Iterator[Finding]:
    """The scale is an array that is data under a trace too, and `last` is None at first."""
    tower = attempt.call("Tower()")
    for name in ("scale", "last"):
        if not hasattr(tower, name):
            seen = f"the tower has {', '.join(own_attributes(tower))}"
            line = attempt.line("__init__", "Tower")
            yield Finding("missing", name, seen, f"`{name}`", line)
    last = getattr(tower, "last", None)
    if last is not None:
        kind = "variable" if isinstance(last, nnx.Variable) else "value"
        yield Finding(kind, "last", f"{describe(last)} in a new tower", "None", attempt.line("last", "Tower"))
    if not hasattr(tower, "scale"):
        return
    role = home(tower.scale)
    value = content(tower.scale)
    line = attempt.line("scale", "Tower")
    if role != "array":
        yield Finding(role, "scale", f"{describe(tower.scale)} in `scale`", "an array", line)
        return
    match difference(value, np.ones(2, np.float32)):
        case "shape" | "dtype" as kind:
            yield Finding(kind, "scale", spec(value), "float32[2]", line)
        case "value":
            yield Finding("value", "scale", f"scale is {numbers(value)}", "[1, 1]", line)
    if not _closed(tower):
        yield from _traced(attempt)


def forward(attempt: Attempt) -> Iterator[Finding]:
    """The forward pass computes the formula, and keeps its result."""
    tower = build(attempt)
    line = attempt.line("last", "Tower")
    called = attempt.line("__call__", "Tower")
    if home(getattr(tower, "scale", None)) not in {"array", "param", "variable"}:
        return
    first = getattr(tower, "last", None)
    put(tower, "scale", array_of(SCALE))
    y = tried(attempt, "tower(x)", "last", dict.fromkeys(REFUSED, "static"), line, tower=tower, x=array_of(X))
    if not isinstance(y, jax.Array):
        raise Stop(Finding("result-type", "forward", f"the forward pass returns {describe(y)}", "an array", called))
    if not close(y, _tower()):
        seen = f"{numbers(y)} from three known layers and the scale {numbers(SCALE)}"
        yield Finding(_mistaken_formula(y), "forward", seen, numbers(_tower()), called)
    if isinstance(first, nnx.Variable) or not hasattr(tower, "last"):
        return
    last, rest = tower.last, paths(tower, nnx.Not(nnx.Param))
    if last is first:
        yield Finding("unchanged", "last", f"after a call `last` is {describe(last)}", "the result", line)
    elif isinstance(last, nnx.Variable):
        yield Finding("variable", "last", f"{describe(last)} in `last`", "a bare array", line)
    elif not close(last, y):
        yield Finding("result", "last", f"last is {numbers(last)}", f"{numbers(y)}, as was returned", line)
    elif ("last",) not in rest:
        yield Finding("hidden", "last", f"the state has {listed(rest)} beside the Params", "last and scale", line)
    elif extra := rest - {("last",), ("scale",)}:
        yield Finding("extra", "", f"also {listed(extra)}", "the layers, scale and last alone")
    elif len(params(tower)) == 6 and not _closed(tower):
        yield from _compiled(attempt, y, called)


def search(attempt: Attempt) -> Iterator[Finding]:
    """The search finds Variables in a plain list, and no others."""
    attempt.function("lost", "model")
    line, head = attempt.line("lost"), layer()
    top = list[Any]()  # plain lists, which are empty when the module gets them
    inner = list[Any]()
    model = nnx.Dict(head=head, layers=top, body=nnx.Dict(late=inner), other=nnx.data([ramp(0.0, 1.0, 2)]))
    top += [layer(), {"deep": nnx.Variable(ramp(0.0, 1.0, 3))}, head, (nnx.relu, nnx.Param(ramp(0.0, 1.0, 4)))]
    inner.append(nnx.BatchStat(ramp(0.0, 1.0, 5)))
    twins: Paths = {("layers", 0, "kernel"), ("layers", 0, "bias")}  # their numbers are those of the head
    wanted = twins | {("layers", 1, "deep"), ("layers", 3, 1), ("body", "late", 0)}
    kinds = {"unhash": "unhashable", "truth value": "truth", "incompatible shapes": "truth"}
    found = tried(attempt, "lost(model)", "lost", kinds, line, model=model)
    if not isinstance(found, list):
        yield Finding("result-type", "lost", f"`lost` returns {describe(found)}", "a list", line)
        return
    if other := [path for path in found if not isinstance(path, tuple) or "0" in path]:
        yield Finding("strings", "lost", f"it returns {other[0]!r:.60}", '("layers", 0, "kernel")', line)
        return
    mine = set(found)
    if mine == wanted:
        return
    known = paths(model) - {("other", 0)}
    tied = {("layers", 2, "kernel"), ("layers", 2, "bias")}
    cases = {
        "nothing": not mine & wanted,
        "others": bool(mine - wanted - known - tied),
        "all": mine >= known,
        "known": bool(mine - wanted),
        "equal": wanted - mine == twins,
    }
    odd = {path for path in mine - wanted if path and not str(path[-1]).startswith("_")} or mine
    measured = f"Of 5 lost Variables it names {len(mine & wanted)}, and {len(mine - wanted)} other paths."
    kind = first_that_holds(cases, otherwise="shallow")
    yield Finding(kind, "lost", f"it finds {listed(odd)}", listed(wanted), line, measured)


STAGES = (*part(names, layers, attributes, forward), *part(search))


def _closed(tower: Any) -> bool:
    """Tell whether JAX takes a tower for one leaf."""
    return any(leaf is tower for leaf in jax.tree.leaves(tower))


def _traced(attempt: Attempt) -> Iterator[Finding]:
    """Yield a finding if the scale is no data where a tower is made under a trace, or only by the luck of its type."""
    line = attempt.line("scale", "Tower")
    for what in ("nnx.eval_shape(Tower)", "nnx.jit(Tower)()"):
        found = paths(tried(attempt, what, "Tower", {"": "trace"}, line, nnx=nnx))
        if ("scale",) not in found or not _marked(attempt):
            measured = f"On Python {platform.python_version()} the state of `{what}` has {listed(found)}."
            yield Finding("unmarked", "scale", "nothing says that it is data", "`nnx.data(…)`", line, measured)
            return


def _marked(attempt: Attempt) -> bool:
    """Tell whether the scale is data even if NNX does not recognize the value."""
    tower = attempt.get("Tower")
    unknown = object()  # NNX takes no such object for data by itself

    def set_unknown(self: Any, name: str, value: Any) -> None:
        tower.__setattr__(self, name, unknown if isinstance(value, jax.Array) else value)

    try:
        made = type(tower.__name__, (tower,), {"__setattr__": set_unknown})()
    except Exception:  # it does something with the value, which the other stages try with an array
        return True
    return any(leaf is unknown or is_array(leaf) for leaf in jax.tree.leaves(made))


def _stale(tower: Any) -> str:
    """Say what compiling does to a tower whose layers are not in its state."""
    sentence = "`nnx.grad` and an optimizer find no Param of a layer."
    x = array_of(X)
    compiled = jax.jit(lambda tower: tower(x))
    try:
        before = compiled(tower)
    except Exception:  # of the forward pass, which has a stage of its own
        return sentence
    for _, variable in nnx.iter_graph(tower):
        if isinstance(variable, nnx.Param):
            variable.set_value(jnp.zeros_like(variable[...]))
    if close(compiled(tower), before):
        sentence += " After all of them became 0, `jax.jit` still gave the old output."
    return sentence


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


def _tower(
    order: tuple[int, ...] = (0, 1, 2),
    first: Any = np.asarray,
    between: Any = _relu,
    last: Any = np.asarray,
    each: Any = 1,
    scale: Any = SCALE,
) -> Any:
    """Return what a tower computes from `X`.

    Args:
        order: the places of the layers, one after the other.
        first: what is applied to the input.
        between: what is applied between two layers.
        last: what is applied to the output of the last layer.
        each: what the output of each layer is multiplied by.
        scale: what the result is multiplied by.
    """
    x = first(X)
    for place, index in enumerate(order):
        x = ((between(x) if place else x) @ KERNELS[index] + BIASES[index]) * each
    return last(x) * scale


def _mistaken_formula(y: Any) -> str:
    """Return the kind of the formula that the forward pass computes instead."""
    others = [function for name, function in ACTIVATIONS.items() if name != "relu"]
    formulas = {
        "no-activation": _tower(between=np.asarray),
        "last-activation": (_tower(last=_relu), _relu(_tower()), _tower(first=_relu, last=_relu)),
        "first-activation": _tower(first=_relu),
        "no-scale": _tower(scale=1),
        "scale-each": _tower(scale=1, each=SCALE),
        "order": _tower(order=(2, 1, 0)),
        "activation": tuple(_tower(between=other) for other in others),
    }
    return formula_of(y, formulas)


def _compiled(attempt: Attempt, wanted: jax.Array, line: int | None) -> Iterator[Finding]:
    """The tower works when compiled, and grows afterwards."""
    for what in ("jax.jit(lambda tower, x: tower(x))(tower, x)", "nnx.jit(lambda tower, x: tower(x))(tower, x)"):
        tower = build(attempt)
        put(tower, "scale", array_of(SCALE))
        y = tried(attempt, what, "Tower", {"": "jit"}, line, tower=tower, x=array_of(X), jax=jax, nnx=nnx)
        if not close(y, wanted):
            raise Stop(Finding("jit", "Tower", f"`{what}` gives {numbers(y)}", numbers(wanted), line))
    attempt.call("tower.add(layer)", tower=tower, layer=layer())
    again = attempt.call("tower(x)", tower=tower, x=array_of(X))
    if len(params(tower)) != 8 or close(again, wanted):
        seen = f"after a call and an `add`, {len(params(tower))} Params and the output {numbers(again)}"
        yield Finding("late", "layers", seen, "8 Params and another output", attempt.line("add", "Tower"))
