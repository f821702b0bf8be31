"""Checks of the exercise Surgery.

Each of the three functions is a part of its own. What is renamed and loaded is compared leaf by leaf; what
`write_torch` writes is judged by the outputs of the layer, with kernels whose axes are of one length where a wrong
order of them would fit.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import first_that_holds, formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import part
from nnx_state.practice.state import copied, held
from nnx_state.practice.trials import tried
from nnx_state.practice.values import array_of, close, content, describe, listed, numbers, ramp

MISFITS = {"KeyError": "missing-path", "broadcast": "shapes", "Incompatible shapes": "shapes"}


class Layer(nnx.Module):
    """A layer with a kernel and a bias, whose numbers no other layer has."""

    def __init__(self, first: float, outputs: int = 2) -> None:
        self.kernel = nnx.Param(ramp(first, first + 0.5, 3, outputs))
        self.bias = nnx.Param(ramp(first + 0.6, first + 0.9, outputs))


class Model(nnx.Module):
    """Layers at two depths, one under a name that stands at both, and a count."""

    def __init__(self, first: float, outputs: int = 2, extra: bool = False) -> None:
        self.body = nnx.List([Layer(first), Layer(first + 1)])
        self.head = Layer(first + 2, outputs)
        self.tower = nnx.Dict(head=Layer(first + 3))
        self.count = nnx.Variable(ramp(first + 4, first + 5, 1))
        if extra:
            self.extra = Layer(first + 6)


def names(attempt: Attempt) -> Iterator[Finding]:
    """Paths begin with the new names, and the leaves are those of the state that was given."""
    attempt.function("renamed", "state", "names")
    yield from ()
    cases: list[dict[str, str | None]] = [
        {"body": "trunk"},
        {"body": "head", "head": "body"},
        {"tower": None, "count": "calls"},
        {},
    ]
    for new in cases:
        _rename(attempt, new)


def load(attempt: Attempt) -> Iterator[Finding]:
    """What fits is in the model, the rest is as it was and is named, and nothing is shared."""
    attempt.function("load_fitting", "model", "state")
    yield from ()
    _load(attempt, Model(1.0), Model(100.0))
    _load(attempt, Model(1.0, extra=True), Model(100.0))
    _load(attempt, Model(1.0), Model(100.0, extra=True))
    for outputs in (1, 3):  # one column broadcasts
        _load(attempt, Model(1.0), Model(100.0, outputs))


def linear(attempt: Attempt) -> Iterator[Finding]:
    """A Linear computes what that of PyTorch does; its kernel is square."""
    attempt.function("write_torch", "layer", "weights")
    weight, bias, x = _draws((3, 3), (3,), (5, 3))
    layer = _written(attempt, nnx.Linear(3, 3, rngs=nnx.Rngs(0)), {"weight": weight, "bias": bias})
    known = {"unturned": x @ weight + bias, "bias": x @ weight.T}
    yield from _compared(attempt, "an `nnx.Linear`", layer(x), x @ weight.T + bias, known)


def conv(attempt: Attempt) -> Iterator[Finding]:
    """A Conv computes what that of PyTorch does; its kernel is square, and has as many inputs as outputs."""
    weight, bias, x = _draws((3, 3, 3, 3), (3,), (2, 6, 6, 3))
    layer = nnx.Conv(3, 3, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
    written = _written(attempt, layer, {"weight": weight, "bias": bias})

    def by(kernel: jax.Array) -> jax.Array:
        axes = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=axes)

    turned = weight.transpose(2, 3, 1, 0)
    known = {
        "mirrored": by(weight.T) + bias,
        "unturned": (by(weight) + bias, by(weight.transpose(2, 3, 0, 1)) + bias, by(weight.swapaxes(0, 1)) + bias),
        "bias": by(turned),
    }
    yield from _compared(attempt, "an `nnx.Conv`", written(x), by(turned) + bias, known)


def lstm(attempt: Attempt) -> Iterator[Finding]:
    """A cell computes what an LSTM of PyTorch does, one step after another."""
    *arrays, x, c, h = _draws((12, 3), (12, 3), (12,), (12,), (3,), (3,), (3,))
    weights = dict(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), arrays, strict=True))
    carry = (c, h)
    cell = _written(attempt, nnx.OptimizedLSTMCell(3, 3, rngs=nnx.Rngs(0)), weights)
    bias_ih, bias_hh = weights["bias_ih"], weights["bias_hh"]

    def step(bias: jax.Array, order: tuple[int, ...] = (0, 1, 2, 3)) -> jax.Array:
        c, h = carry
        gates = weights["weight_ih"] @ x + weights["weight_hh"] @ h + bias
        parts = jnp.split(gates, 4)
        i, f, g, o = (parts[place] for place in order)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c)

    both = bias_ih + bias_hh
    known = {
        "one-bias": (step(bias_ih), step(bias_hh)),
        "bias": step(jnp.zeros(12)),
        "gates": (step(both, (0, 1, 3, 2)), step(both, (0, 2, 3, 1)), step(both, (1, 0, 2, 3))),
    }
    yield from _compared(attempt, "an `nnx.OptimizedLSTMCell`", cell(carry, x)[1], step(both), known)


STAGES = (*part(names), *part(load), *part(linear, conv, lstm))


def _rename(attempt: Attempt, new: dict[str, str | None]) -> None:
    """Rename the state of a model, and compare it with what it should be then.

    Raises:
        Stop: If it is anything else, or if the state that was given has changed.
    """
    line, state = attempt.line("renamed"), nnx.state(Model(1.0))
    given = held(state)
    wanted = {}
    for path, leaf in given.items():
        first, dot, rest = path.partition(".")
        if new.get(first, first) is not None:
            wanted[f"{new.get(first, first)}{dot}{rest}"] = leaf
    told = f"with the names {new}"
    result = attempt.call("renamed(state, names)", state=state, names=dict(new))
    if not isinstance(result, nnx.State):
        raise Stop(Finding("result-type", "renamed", describe(result), "an nnx.State", line))
    if held(state).keys() != given.keys():
        has = f"{told}, the given state has {listed(sorted(state, key=str))}"
        raise Stop(Finding("changed", "renamed", has, "its own paths", line))
    if None in result:  # a state with such a path cannot be made flat
        raise Stop(Finding("kept", "renamed", f"{told}, a path begins with None", listed(wanted), line))
    seen = held(result)
    if seen.keys() != wanted.keys():
        lost, more = sorted(wanted.keys() - seen.keys()), sorted(seen.keys() - wanted.keys())
        gone = {path for path in given if new.get(path.partition(".")[0], "") is None}
        cases = {
            "nothing": seen.keys() == given.keys(),
            "kept": not lost and len(more) == len(gone) and bool(gone),
            "dropped": not more and {path.partition(".")[0] for path in lost}.isdisjoint(new.values()),
            "everywhere": len(seen) == len(wanted) and "tower" in {path.partition(".")[0] for path in lost},
        }
        texts = f"{told}, it has {listed(more[:2])} and lacks {listed(lost[:2])}"
        raise Stop(Finding(first_that_holds(cases, "paths"), "renamed", texts, listed(sorted(wanted)[:4]), line))
    if other := [path for path, leaf in wanted.items() if not close(content(seen[path]), content(leaf))]:
        seen_there = f"{told}, `{other[0]}` is {numbers(content(seen[other[0]]))}"
        raise Stop(Finding("leaves", "renamed", seen_there, numbers(content(wanted[other[0]])), line))


def _load(attempt: Attempt, model: Model, source: Model) -> None:
    """Load the state of one model into another, and compare both with what they should hold then.

    Raises:
        Stop: If one of the two, or the report, is anything else.
    """
    line, state = attempt.line("load_fitting"), nnx.state(source)
    before, given, variables = copied(model), copied(source), held(model)
    fits = {path for path, value in before.items() if path in given and given[path].shape == value.shape}
    wanted = {path: given[path] if path in fits else value for path, value in before.items()}
    what = "load_fitting(model, state)"
    report = tried(attempt, what, "load_fitting", MISFITS, line, model=model, state=state)
    after = copied(model)
    if more := sorted(after.keys() ^ before.keys()):
        raise Stop(Finding("unexpected", "load_fitting", f"the model has gained or lost {listed(more[:2])}", "", line))
    if other := [path for path, value in wanted.items() if not close(after[path], value)]:
        cases = {"shapes": not fits.issuperset(other), "nothing": set(other) == fits}
        path = next((path for path in other if path not in fits), other[0])
        seen = f"`{path}` of the model is {list(after[path].shape)} {numbers(after[path])}"
        expected = f"{list(wanted[path].shape)} {numbers(wanted[path])}"
        raise Stop(Finding(first_that_holds(cases, "others"), "load_fitting", seen, expected, line))
    if shared := [path for path, leaf in held(model).items() if leaf is not variables[path]]:
        seen = f"`{shared[0]}` of the model is another Variable than before"
        raise Stop(Finding("shared", "load_fitting", seen, "its own Variable with a new value", line))
    expected_report = [path for path in before if path not in fits]
    if report != expected_report:
        cases = {
            "no-report": report is None,
            "inverted": report == [path for path in before if path in fits],
        }
        seen = repr(report)[:120]
        raise Stop(Finding(first_that_holds(cases, "report"), "load_fitting", seen, repr(expected_report), line))


def _draws(*shapes: tuple[int, ...]) -> list[jax.Array]:
    """Return arrays of normal numbers, no two of which are equal."""
    draw = np.random.default_rng(0)
    return [array_of(draw.normal(size=shape).astype(np.float32)) for shape in shapes]


def _written(attempt: Attempt, layer: Any, weights: dict[str, jax.Array]) -> Callable[..., Any]:
    """Return the layer after the attempt has written weights into it."""
    shapes = {path: value.shape for path, value in copied(layer).items()}
    kinds = {"broadcast": "axes", "Incompatible shapes": "axes", "KeyError": "names", "AttributeError": "names"}
    line = attempt.line("write_torch")
    what = "write_torch(layer, weights)"
    tried(attempt, what, "write_torch", kinds, line, layer=layer, weights=dict(weights))
    for path, value in copied(layer).items():
        if value.shape != shapes.get(path):
            seen = f"`{path}` of {type(layer).__name__} has shape {value.shape}"
            raise Stop(Finding("axes", "write_torch", seen, str(shapes.get(path, "no such attribute")), line))
    return layer  # type: ignore[no-any-return]


def _compared(attempt: Attempt, name: str, seen: Any, wanted: Any, known: Mapping[str, Any]) -> Iterator[Finding]:
    if not close(seen, wanted):
        kind = formula_of(seen, known, "outputs")
        text = f"with weights of PyTorch, {name} gives {numbers(seen)}"
        yield Finding(kind, "write_torch", text, numbers(wanted), attempt.line("write_torch"))
