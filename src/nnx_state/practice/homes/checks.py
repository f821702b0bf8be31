"""Checks of the exercise Homes."""

import contextlib
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, close, content, describe, home, numbers, put, role, spec

FEATURES = 3
ATTRIBUTES = ("scale", "calls", "total", "grid", "floor", "features")


def build(attempt: Attempt) -> Any:
    """Return a module of the attempt."""
    return attempt.call(f"Gate({FEATURES})")


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    stat = attempt.variable_type("Stat")
    if stat.__module__.startswith("flax."):
        raise Stop(Finding("not-own", "Stat", f"it is nnx.{stat.__name__}", "a class of its own", attempt.line("Stat")))
    attempt.module_class("Gate")
    yield from ()


def homes(attempt: Attempt) -> Iterator[Finding]:
    """Each value has the home that its row asks for, and starts as it says."""
    yield from _measured(attempt, _start(attempt, build(attempt)))
    if extra := sorted(_state(build(attempt)) - {*ATTRIBUTES}):
        yield Finding("extra", "", f"also {', '.join(extra)}", "the attributes of the table", attempt.line(extra[0]))


def call(attempt: Attempt) -> Iterator[Finding]:
    """A call updates two values, leaves the others alone and returns the formula."""
    model = build(attempt)
    wrong = {finding.about for finding in _start(attempt, model)}
    scale, grid, floor = jnp.array([1.0, 2.0, 0.5]), jnp.array([0.5, -1.0, 2.0]), -2.0
    calls, total, x = jnp.array(7, jnp.int32), jnp.array([1.0, 2.0, 3.0]), jnp.array([4.0, 1.0, -2.5])
    try:
        for name, value in {"scale": scale, "calls": calls, "total": total, "grid": grid, "floor": floor}.items():
            put(model, name, value)
        kept = {name: getattr(model, name) for name in ATTRIBUTES}
        before = {name: content(value) for name, value in kept.items()}
        y = attempt.call("gate(x)", gate=model, x=x)
    except NotImplementedError as error:
        if "In-place" not in str(error):
            raise
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(attempt.path)]
        seen = f"`{frames[-1].line}` raised NotImplementedError"
        raise Stop(Finding("in-place", "", seen, "a write into the Variable", frames[-1].lineno)) from None
    except Exception:
        if wrong:
            return
        raise
    for name in (name for name in ATTRIBUTES if name not in wrong):
        now, line = getattr(model, name), attempt.line(name, "__call__") or attempt.line("__call__")
        added = {"calls": 1, "total": x}.get(name, 0)
        change = f"{name} goes from {numbers(before[name])} to {numbers(content(now))}"
        if isinstance(kept[name], nnx.Variable) and now is not kept[name]:
            measured = f"What held the old Variable still reads {numbers(before[name])} after the call."
            yield Finding("replaced", name, f"{describe(now)} stands in it", "the Variable from before", line, measured)
        elif not close(content(now), before[name] + added):
            outcomes = {"unchanged": before[name], "overwritten": x}
            kind = next((kind for kind, value in outcomes.items() if close(content(now), value)), "update")
            kind = kind if name in {"calls", "total"} else "changed"
            yield Finding(kind, name, change, f"{numbers(before[name] + added)} for this x", line)
            wrong.add(kind)
    if "changed" not in wrong:
        yield from _formula(attempt, y, x, grid, scale, floor)


def schedule(attempt: Attempt) -> Iterator[Finding]:
    """A compiled step is traced once, whatever the schedule assigns."""
    model, other = build(attempt), build(attempt)
    if any(_start(attempt, model)):
        return
    kept = [model.calls, model.total]
    with attempt.does("`nnx.jit(lambda gate, x: gate(x))(gate, x)`"):
        same, changing = _traces(model, [None, None, None]), _traces(other, [None, -2.0, -3.0])
    if model.calls is not kept[0] or model.total is not kept[1]:  # that compiles again, and is found above
        return
    if same > 1 and getattr(content(total := build(attempt).total), "weak_type", False):
        seen = f"3 calls, {same} traces, from {describe(total)} of a weak type"
        yield Finding("weak", "total", seen, "1 trace", attempt.line("total", "Gate"))
    elif same > 1:
        seen = f"3 calls, {same} traces, while floor stays"
        yield Finding("retraced", "gate", seen, "1 trace", attempt.line("__call__"))
    elif changing > 1:
        yield Finding("retraced", "floor", f"3 floors, {changing} traces", "1 trace", attempt.line("floor", "Gate"))


STAGES = (names, homes, call, schedule)


def _state(model: nnx.Module, only: Any = ...) -> set[str]:
    """Return the attributes that have a leaf in the state."""
    return {str(path[0]) for path, _ in nnx.to_flat_state(nnx.state(model, only))}


def _homes(attempt: Attempt, model: Any) -> Iterator[Finding]:
    stat = attempt.module.Stat
    yield from role(attempt, model, "scale", nnx.Param)
    if isinstance(getattr(model, "calls", None), stat):
        seen = f"{describe(model.calls)} in `calls`"
        yield Finding("stat", "calls", seen, "a Variable that is no Stat", attempt.line("calls", "Gate"))
    elif home(getattr(model, "calls", None)) == "number" and "calls" in _state(model):
        seen = f"{describe(model.calls)}, marked as data, in `calls`"
        yield Finding("data", "calls", seen, "a Variable in `calls`", attempt.line("calls", "Gate"))
    else:
        yield from role(attempt, model, "calls", nnx.Variable)
    yield from role(attempt, model, "total", stat)
    wanted = {"grid": "an array", "floor": "a number that is marked as data", "features": f"the int {FEATURES}"}
    for name, expected in wanted.items():
        value, line = getattr(model, name, None), attempt.line(name, "Gate")
        seen = f"{describe(value)} in `{name}`"
        if not hasattr(model, name):
            yield Finding("missing", name, f"no attribute `{name}`", expected, attempt.line("Gate"))
        elif name == "features":
            if isinstance(value, nnx.Variable) or name in _state(model):
                yield Finding("data", name, f"{seen}, in the state", expected, line)
        elif isinstance(value, nnx.Variable):
            yield Finding("param" if isinstance(value, nnx.Param) else "variable", name, seen, expected, line)
        elif name not in _state(model):
            yield Finding("static", name, f"{seen}, which is static", expected, line)


def _start(attempt: Attempt, model: Any) -> Iterator[Finding]:
    homes = list(_homes(attempt, model))
    yield from homes
    wanted: dict[str, Any] = {
        "scale": jnp.ones(FEATURES),
        "calls": jnp.zeros((), jnp.int32),
        "total": jnp.zeros(FEATURES),
        "grid": jnp.arange(FEATURES, dtype=jnp.float32),
        "floor": -1.0,
        "features": FEATURES,
    }
    for name in (name for name in ATTRIBUTES if name not in {finding.about for finding in homes}):
        value, line = getattr(model, name), attempt.line(name, "Gate")
        held, start = content(value), wanted[name]
        if isinstance(start, jax.Array) and not isinstance(held, (jax.Array, np.ndarray)):
            kind, about = ("number-inside", "") if isinstance(value, nnx.Variable) else ("object", name)
            yield Finding(kind, about, f"{describe(value)} in `{name}`", f"an array {spec(start)}", line)
        elif np.shape(held) != np.shape(start):
            yield Finding("shape", name, f"{name} has shape {list(np.shape(held))}", f"{list(np.shape(start))}", line)
        elif isinstance(start, jax.Array) and held.dtype != start.dtype:
            yield Finding("dtype", name, f"{name} is {spec(held)}", spec(start), line)
        elif name == "features" and type(held) is not int:
            yield Finding("type", name, f"{describe(held)} in `{name}`", f"the int {FEATURES}", line)
        elif not close(held, start):
            yield Finding("value", name, f"{name} is {numbers(held)}", numbers(start), line)


def _traces(model: Any, floors: Sequence[float | None]) -> int:
    """Return how often a compiled call is traced while these floors are assigned."""
    traces = []

    def step(model: Any, x: jax.Array) -> Any:
        traces.append("trace")
        return model(x)

    compiled = nnx.jit(step)
    for floor in floors:
        if floor is not None:
            model.floor = floor
        compiled(model, jnp.ones(FEATURES))
    return len(traces)


def _measured(attempt: Attempt, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Add what each mistake does in a run, where the run succeeds."""
    for finding in findings:
        with contextlib.suppress(Exception):
            finding = replace(finding, measured=_damage(finding, build(attempt), attempt.module.Stat))
        yield finding


def _damage(finding: Finding, model: Any, stat: Any) -> str:
    """Say in one sentence what the mistake does in a run."""
    import optax

    name = finding.about
    value: Any = getattr(model, name, None)
    match finding.kind, name:
        case "param", _ if jnp.issubdtype(jnp.asarray(content(value)).dtype, jnp.integer):
            try:
                nnx.grad(lambda model: model(jnp.ones(FEATURES)).sum())(model)
            except TypeError as error:
                return f"`nnx.grad` of this model raises TypeError: {str(error).partition(' (')[0]}."
        case "param", _:
            value.set_value(jnp.full(np.shape(value.get_raw_value()), 5.0))
            optimizer = nnx.Optimizer(model, optax.adamw(0.1, weight_decay=0.1), wrt=nnx.Param)
            optimizer.update(model, nnx.grad(lambda model: 0.0 * model.scale.sum())(model))
            return f"One step of adamw(0.1, weight_decay=0.1) turned the 5 in `{name}` into {numbers(content(value))}."
        case ("static" | "variable", "floor") | ("number", "calls"):
            traces = _traces(model, [None, -2.0, -3.0])
            return f"Three compiled calls, with the floors -1, -2 and -3, took {traces} traces."
        case "dtype", "calls" if value.dtype == jnp.float32:
            value.set_value(jnp.float32(2**24))
            model(jnp.ones(FEATURES))
            return f"At {2**24} a call leaves it at {int(content(model.calls))}."
        case "dtype", "total":
            model(jnp.full(FEATURES, 0.5))
            return f"After an input of 0.5 the total is {numbers(content(model.total))}."
        case "data", "features":
            try:
                nnx.jit(lambda model: jnp.zeros(int(model.features)))(model)
            except Exception as error:
                return f"Under `nnx.jit`, `jnp.zeros(int(gate.features))` raises {type(error).__name__}."
        case ("array" | "variable", "scale"):
            return f"`nnx.state(gate, nnx.Param)` finds {', '.join(sorted(_state(model, nnx.Param))) or 'nothing'}."
        case ("stat" | "type" | "array" | "variable" | "data", "calls" | "total" | "grid"):
            stats, variables = (", ".join(sorted(_state(model, kind))) or "nothing" for kind in (stat, nnx.Variable))
            return f"The filter Stat finds {stats}; the filter `nnx.Variable` finds {variables}."
        case ("static" | "missing", "grid"):
            return f"A checkpoint of `nnx.state(gate)` has {', '.join(sorted(_state(model)))}."
    return ""


def _formula(attempt: Attempt, y: Any, x: Any, grid: Any, scale: Any, floor: float) -> Iterator[Finding]:
    """Name the formula that a call returns, if it is another one."""
    line, inner = attempt.line("__call__"), (x - grid) * scale
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "gate", f"a call returns {describe(y)}", "an array", line)
    elif y.shape != x.shape:
        yield Finding("result-shape", "gate", spec(y), spec(x), line)
    elif not close(y, jnp.maximum(inner, floor)):
        formulas = {
            "no-floor": inner,
            "minimum": jnp.minimum(inner, floor),
            "fixed-floor": jnp.maximum(inner, -1.0),
            "fixed-grid": jnp.maximum((x - jnp.arange(FEATURES)) * scale, floor),
        }
        kind = next((kind for kind, value in formulas.items() if close(y, value)), "formula")
        seen = f"{numbers(y)} where all values are known, and floor is {floor}"
        yield Finding(kind, "gate", seen, numbers(jnp.maximum(inner, floor)), line)
