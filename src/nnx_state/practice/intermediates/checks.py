"""Checks of the exercise Metrics and intermediates.

The functions and the metric are parts of their own. A model that sows at two depths, and counts its calls, is recorded
after a call that has left Intermediates in it. The metric is tried with batches of several sizes, whose numbers tell
its formula from those that are taken for it. The state is that of a model with a leaf of each type.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import first_that_holds, formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import needs, part
from nnx_state.practice.state import copied, held
from nnx_state.practice.values import array_of, close, describe, described, home, listed, numbers, ramp

SEEN = ("inner", "layers.0.seen", "layers.1.seen")  # what the model sows, by path


class Layer(nnx.Module):
    """A layer that sows its output."""

    def __init__(self, scale: float) -> None:
        self.scale = nnx.Param(jnp.array(scale))

    def __call__(self, x: Any) -> Any:
        """Return the input times the scale."""
        y = x * self.scale[...]
        self.sow(nnx.Intermediate, "seen", y)
        return y


class Model(nnx.Module):
    """A model that sows at two depths, twice under one name, and has a leaf of each other type."""

    def __init__(self) -> None:
        self.layers = nnx.List([Layer(2.0), Layer(3.0)])
        self.calls = nnx.Variable(jnp.array(0))
        self.mean = nnx.BatchStat(jnp.array(0.5))
        self.dropout = nnx.Dropout(0.0, rngs=nnx.Rngs(0))
        self.size = nnx.metrics.Average()

    def __call__(self, x: Any) -> Any:
        """Return six times the input."""
        self.calls[...] += 1
        self.size.update(values=x)
        self.sow(nnx.Intermediate, "inner", x)
        for layer in self.layers:
            x = layer(x)
        self.sow(nnx.Intermediate, "inner", x)
        return x


class Own(nnx.Intermediate[Any]):
    """A type below Intermediate."""


def recorded(attempt: Attempt) -> Iterator[Finding]:
    """A call gives the output and what it has sown, and the model holds what a call without it would leave."""
    attempt.function("record", "model", "x")
    line = attempt.line("record")
    yield from ()
    for earlier in (False, True):
        model, x = Model(), ramp(1.0, 2.0, 3)
        if earlier:
            with warnings.catch_warnings(action="ignore"):
                model(ramp(7.0, 8.0, 3))
        before = _others(model)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            result = attempt.call("record(model, x)", model=model, x=x)
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], nnx.State)):
            raise Stop(Finding("result-type", "record", described(result), "a pair, an output and an nnx.State", line))
        output, sown = result
        if not close(output, 6.0 * x):
            raise Stop(Finding("output", "record", f"the output is {numbers(output)}", numbers(6.0 * x), line))
        _compare(sown, x, line)
        _left(model, before, earlier, line)
        if said := [str(one.message).strip() for one in warned if issubclass(one.category, DeprecationWarning)]:
            raise Stop(Finding("warns", "record", f"DeprecationWarning: {said[0][:60]}…", "no warning", line))


@needs(recorded)
def compiled(attempt: Attempt) -> Iterator[Finding]:
    """Inside of nnx.jit the function is traced once for one shape."""
    traced: list[None] = []

    class Counted(Model):
        def __call__(self, x: Any) -> Any:
            traced.append(None)
            return super().__call__(x)

    model, x, line = Counted(), ramp(1.0, 2.0, 3), attempt.line("record")
    jitted_record = nnx.jit(attempt.get("record"))
    for _ in range(3):
        with attempt.does("`record(model, x)` inside of `nnx.jit`"):
            _, sown = jitted_record(model, x)
    _compare(sown, x, line)
    if len(traced) != 1:
        yield Finding("retraced", "record", f"{len(traced)} traces for three calls", "1", line)


BATCHES = tuple(np.array(batch, np.float32) for batch in ([1.0, -2.0, 3.0, 0.5], [[4.0], [6.0]], -5.0))


def measured(attempt: Attempt) -> Iterator[Finding]:
    """The metric holds MetricState alone, and computes the root of the mean of all squares."""
    kind = attempt.get("RootMeanSquare")
    line = attempt.line("RootMeanSquare")
    if not (isinstance(kind, type) and issubclass(kind, nnx.metrics.Metric)):
        raise Stop(Finding("not-metric", "RootMeanSquare", describe(kind), "a class below nnx.metrics.Metric", line))
    metric = attempt.call("RootMeanSquare()")
    yield from _homes(attempt, metric)
    seen = []
    for values in BATCHES:
        attempt.call("metric.update(values=values)", metric=metric, values=array_of(values))
        seen.append(attempt.call("metric.compute()", metric=metric))
    wanted = [_formulas(BATCHES[: count + 1]) for count in range(len(BATCHES))]
    wrong = [count for count, one in enumerate(seen) if not close(one, wanted[count]["right"])]
    if wrong:
        last = wrong[-1]
        text = f"after {last + 1} batch{'es' * (last > 0)} it computes {_number(seen[last])}"
        kind = formula_of(seen[last], wanted[last])
        yield Finding(kind, "RootMeanSquare", text, _number(wanted[last]["right"]), attempt.line("compute"))


@needs(measured)
def begun_anew(attempt: Attempt) -> Iterator[Finding]:
    """After a reset nothing of the earlier numbers is left, and the metric can be updated."""
    metric = attempt.call("RootMeanSquare()")
    for values in BATCHES:
        attempt.call("metric.update(values=values)", metric=metric, values=array_of(values))
    leaves = list(held(metric))
    attempt.call("metric.reset()", metric=metric)
    attempt.call("metric.update(values=values)", metric=metric, values=array_of(BATCHES[0]))
    seen, wanted = attempt.call("metric.compute()", metric=metric), _formulas(BATCHES[:1])["right"]
    line = attempt.line("reset")
    if not close(seen, wanted):
        cases = {"forgotten": close(seen, _formulas((*BATCHES, BATCHES[0]))["right"])}
        kind, text = first_that_holds(cases, "half"), f"after a reset it computes {_number(seen)}"
        yield Finding(f"reset-{kind}", "RootMeanSquare", text, _number(wanted), line)
    elif list(held(metric)) != leaves:
        yield Finding("reset-leaves", "RootMeanSquare", f"its state is {listed(held(metric))}", listed(leaves), line)


@needs(measured, begun_anew)
def jitted(attempt: Attempt) -> Iterator[Finding]:
    """An update inside of nnx.jit is kept, and traced once for one shape, after a reset too."""
    metric = attempt.call("RootMeanSquare()")
    traced: list[None] = []

    @nnx.jit
    def update(metric: Any, values: Any) -> None:
        traced.append(None)
        metric.update(values=values)

    line = attempt.line("update")
    for count in (1, 2, 3):
        if count == 3:
            attempt.call("metric.reset()", metric=metric)
        with attempt.does("an update of the metric inside of `nnx.jit`"):
            update(metric, array_of(BATCHES[0]))
    seen, wanted = attempt.call("metric.compute()", metric=metric), _formulas(BATCHES[:1])["right"]
    if not close(seen, wanted):
        yield Finding("lost", "RootMeanSquare", f"after nnx.jit it computes {_number(seen)}", _number(wanted), line)
    elif len(traced) != 1:
        yield Finding("retraced", "RootMeanSquare", f"{len(traced)} traces for three updates", "1", line)


def left_out(attempt: Attempt) -> Iterator[Finding]:
    """The state has every leaf but those that were measured or recorded, and the model stays whole."""
    attempt.function("unmeasured", "model")
    line = attempt.line("unmeasured")
    model: Any = Model()  # its other attributes come from outside
    model.noted = nnx.Intermediate((jnp.ones(2),))
    model.slope = nnx.Perturbation(jnp.zeros(2))
    model.layers[0].own = Own(jnp.ones(2))
    model.plain = jnp.ones(2)
    before, numbers_before = held(model), copied(model)
    wanted = [path for path, leaf in before.items() if not _is_measured(leaf)]
    result = attempt.call("unmeasured(model)", model=model)
    if list(held(model)) != list(before):
        lost = [path for path in before if path not in held(model)]
        raise Stop(Finding("changed", "unmeasured", f"the model has lost {listed(lost)}", "the model as it was", line))
    if not isinstance(result, nnx.State):
        raise Stop(Finding("result-type", "unmeasured", describe(result), "an nnx.State", line))
    seen = list(held(result))
    if sorted(seen) != sorted(wanted):
        extra, missing = [sorted(set(one) - set(other)) for one, other in ((seen, wanted), (wanted, seen))]
        cases = {
            "params": seen and not extra and all(isinstance(before[path], nnx.Param) for path in seen),
            "missing": bool(missing),
            "all": len(seen) == len(before),
            "metrics": all(isinstance(before[path], nnx.metrics.MetricState) for path in extra),
            "intermediates": extra == sorted(path for path in before if isinstance(before[path], nnx.Intermediate)),
            "subtypes": not any(type(before[path]) is nnx.Intermediate for path in extra),
        }
        text = f"it lacks {listed(missing[:3])}" if missing else f"it has {listed(extra[:3])}"
        yield Finding(first_that_holds(cases, "others"), "unmeasured", text, listed(wanted), line)
    elif other := [path for path in wanted if not close(copied(result)[path], numbers_before[path])]:
        yield Finding("values", "unmeasured", f"`{other[0]}` is another", "the number of the model", line)


STAGES = (*part(recorded, compiled), *part(measured, begun_anew, jitted), *part(left_out))


def _others(model: Model) -> dict[str, np.ndarray]:
    """Return the numbers of all leaves but the Intermediates."""
    return copied(nnx.state(model, nnx.Not(nnx.Intermediate)))


def _compare(sown: nnx.State[Any, Any], x: Any, line: int | None) -> None:
    """Compare what was collected with what one call sows.

    Raises:
        Stop: If it is anything else.
    """
    wanted = {"inner": (x, 6.0 * x), "layers.0.seen": (2.0 * x,), "layers.1.seen": (6.0 * x,)}
    values = {path: _parts(leaf) for path, leaf in held(sown).items()}
    if values.keys() == wanted.keys() and all(_same(values[path], wanted[path]) for path in wanted):
        return
    cases = {
        "nothing": not values,
        "whole-state": values.keys() > wanted.keys(),
        "earlier": values.keys() == wanted.keys()
        and all(_same(values[path][-len(wanted[path]) :], wanted[path]) for path in wanted),
    }
    seen = listed(f"{path} of {len(parts)}" for path, parts in values.items())
    expected = listed(f"{path} of {len(parts)}" for path, parts in wanted.items())
    raise Stop(Finding(first_that_holds(cases, "sown"), "record", f"the State has {seen}", expected, line))


def _parts(leaf: Any) -> tuple[Any, ...]:
    """Return the values that a leaf holds, one or a tuple of them."""
    value = leaf.get_value() if isinstance(leaf, nnx.Variable) else leaf
    return value if isinstance(value, tuple) else (value,)


def _same(seen: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    return len(seen) == len(wanted) and all(map(close, seen, wanted))


def _left(model: Model, before: dict[str, np.ndarray], earlier: bool, line: int | None) -> None:
    """Ask what the model holds after the call.

    Raises:
        Stop: If it is anything but what a call without sown values leaves.
    """
    after = _others(model)
    calls = int(after["calls"] - before["calls"]) if "calls" in after else 0
    if after.keys() != before.keys():
        other = sorted(before.keys() ^ after.keys())
        raise Stop(Finding("leaves", "record", f"the model has gained or lost {listed(other[:3])}", "its leaves", line))
    if calls != 1:
        kind = "lost" if calls < 1 else "called-twice"
        raise Stop(Finding(kind, "record", f"the model has counted {max(calls, 0)} calls", "1", line))
    if kept := list(held(nnx.state(model, nnx.Intermediate))):
        kind = "left-earlier" if earlier else "left"
        raise Stop(Finding(kind, "record", f"the model holds {listed(kept)}", "no Intermediate", line))


def _homes(attempt: Attempt, metric: nnx.metrics.Metric) -> Iterator[Finding]:
    """Yield the first leaf or attribute of a metric that holds a number and has another type than MetricState.

    Raises:
        Stop: If there is one, or no state at all.
    """
    line = attempt.line("__init__", "RootMeanSquare")
    for path, leaf in held(metric).items():
        if not isinstance(leaf, nnx.metrics.MetricState):
            seen = f"{describe(leaf)} in `{path}`"
            raise Stop(Finding(home(leaf), "RootMeanSquare", seen, "an nnx.metrics.MetricState", line))
    for name, value in vars(metric).items():
        if home(value) == "number" and not isinstance(value, bool):
            seen = f"{describe(value)} in `{name}`"
            raise Stop(Finding("number", "RootMeanSquare", seen, "an nnx.metrics.MetricState", line))
    yield from ()


def _formulas(batches: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    """Return what the right formula computes of some batches, and what those do that are taken for it."""
    flat = np.concatenate([batch.ravel() for batch in batches])
    means = np.array([(batch**2).mean() for batch in batches])
    return {
        "right": np.sqrt((flat**2).mean()),
        "no-root": (flat**2).mean(),
        "sum": np.sqrt((flat**2).sum()),
        "mean": flat.mean(),
        "absolute": np.abs(flat).mean(),
        "spread": flat.std(),
        "means": np.sqrt(means.mean()),
        "roots": np.sqrt(means).mean(),
        "batches": np.sqrt((flat**2).sum() / len(batches)),
        "last": np.sqrt(means[-1]),
    }


def _number(value: Any) -> str:
    return numbers(value) if np.ndim(value) == 0 and np.asarray(value).dtype.kind in "fiu" else describe(value)


def _is_measured(leaf: Any) -> bool:
    return isinstance(leaf, (nnx.metrics.MetricState, nnx.Intermediate))
