"""Checks of the exercise Homes.

First comes what each attribute is kept in and what it starts as: a wrong home is shown by a run in which it does harm.
Then one call, which may write two of the attributes alone, and last a compiled call while a schedule assigns `floor`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.damage import decayed, integer_gradient, shown, traces
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import difference, role
from nnx_state.practice.stages import needs
from nnx_state.practice.state import attributes, found_by
from nnx_state.practice.trials import writing
from nnx_state.practice.values import array_of, close, content, describe, home, is_array, listed, numbers, put, spec

FEATURES = 3
START: dict[str, Any] = {
    "scale": np.ones(FEATURES, np.float32),
    "calls": np.zeros((), np.int32),
    "total": np.zeros(FEATURES, np.float32),
    "grid": np.arange(FEATURES, dtype=np.float32),
    "floor": -1.0,
    "features": FEATURES,
}
# What a call is tried with: none of these numbers is one of those above.
X = np.array([4.1, 1.3, -2.7], np.float32)
SCALE = np.array([1.1, 2.3, 0.6], np.float32)
GRID = np.array([0.5, -1.2, 2.4], np.float32)
FLOOR = -2.2
BEFORE: dict[str, Any] = {
    "scale": SCALE,
    "calls": np.array(7, np.int32),
    "total": np.array([1.0, 2.0, 3.0], np.float32),
    "grid": GRID,
    "floor": FLOOR,
}


def build(attempt: Attempt) -> Any:
    """Return a module of the attempt."""
    return attempt.call(f"Gate({FEATURES})")


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    attempt.own_variable_type("Stat")
    attempt.module_class("Gate", "features")
    yield from ()


def homes(attempt: Attempt) -> Iterator[Finding]:
    """Each value has the home that its row asks for, and starts as it says."""
    model = build(attempt)
    misplaced = list(_misplaced(attempt, model))
    others = [name for name in START if name not in {finding.about for finding in misplaced}]
    for finding in [*misplaced, *_started(attempt, model, others)]:
        yield replace(finding, measured=shown(_damage, attempt, finding))


def extra(attempt: Attempt) -> Iterator[Finding]:
    """The state has the attributes of the table alone."""
    if more := [name for name in attributes(build(attempt)) if name not in START]:
        seen = f"also {', '.join(more)}"
        yield Finding("extra", "", seen, "the attributes of the table", attempt.line(more[0]))


def call(attempt: Attempt) -> Iterator[Finding]:
    """A call updates two values, leaves the others alone and returns the formula.

    An attribute with a wrong home is passed by, and so is an error that it may cause.
    """
    model = build(attempt)
    wrong = {finding.about for finding in attempt.found[homes]}
    try:
        with writing(attempt):
            for name, value in BEFORE.items():
                put(model, name, array_of(value) if is_array(value) else value)
            kept = {name: getattr(model, name) for name in START}
            before = {name: np.array(content(value)) for name, value in kept.items()}
            y = attempt.call("gate(x)", gate=model, x=array_of(X))
    except Stop:
        raise
    except Exception:
        if wrong:
            return
        raise
    constant = True
    for name in [name for name in START if name not in wrong]:
        now = getattr(model, name)
        line = attempt.changing_line(name)
        wanted = before[name] + {"calls": 1, "total": X}.get(name, 0)
        if isinstance(kept[name], nnx.Variable) and now is not kept[name]:
            seen = f"{describe(now)} stands in it"
            measured = f"What held the old Variable still reads {numbers(before[name])} after the call."
            line = attempt.changing_line(name, replaces=True)
            yield Finding("replaced", name, seen, "the Variable from before", line, measured)
            continue
        if close(content(now), wanted):
            continue
        if name in {"calls", "total"}:
            kind = formula_of(content(now), {"unchanged": before[name], "overwritten": X}, otherwise="update")
        else:
            kind, constant = "changed", False
        seen = f"{name} goes from {numbers(before[name])} to {numbers(content(now))}"
        yield Finding(kind, name, seen, f"{numbers(wanted)} for this x", line)
    if constant:
        yield from _result(attempt, y)


@needs(homes)
def schedule(attempt: Attempt) -> Iterator[Finding]:
    """A compiled step is traced once, whatever the schedule assigns."""
    model = build(attempt)
    variables = model.calls, model.total
    with attempt.does("`nnx.jit(lambda gate, x: gate(x))(gate, x)`"):
        changing = _traces(model, [None, -2.0, -3.0])
        if changing == 1 or model.calls is not variables[0] or model.total is not variables[1]:
            return  # another Variable compiles again, too: that is found in the call
        same = _traces(build(attempt), [None, None, None])
    total = build(attempt).total
    if same > 1 and getattr(content(total), "weak_type", False):
        seen = f"3 calls, {same} traces, from {describe(total)} of a weak type"
        yield Finding("weak", "total", seen, "1 trace", attempt.line("total", "Gate"))
    elif same > 1:
        seen = f"3 calls, {same} traces, while floor stays"
        yield Finding("retraced", "gate", seen, "1 trace", attempt.line("__call__"))
    else:
        seen = f"3 floors, {changing} traces"
        yield Finding("retraced", "floor", seen, "1 trace", attempt.line("floor", "Gate"))


STAGES = (names, homes, extra, call, schedule)


def _misplaced(attempt: Attempt, model: Any) -> Iterator[Finding]:
    """Yield each attribute that has another home than its row asks for."""
    calls = getattr(model, "calls", None)
    yield from role(attempt, model, "scale", nnx.Param)
    if isinstance(calls, attempt.module.Stat):
        seen = f"{describe(calls)} in `calls`"
        yield Finding("stat", "calls", seen, "a Variable that is no Stat", attempt.line("calls", "Gate"))
    elif home(calls) == "number" and "calls" in attributes(model):
        seen = f"{describe(calls)}, marked as data, in `calls`"
        yield Finding("data", "calls", seen, "a Variable in `calls`", attempt.line("calls", "Gate"))
    else:
        yield from role(attempt, model, "calls", nnx.Variable)
    yield from role(attempt, model, "total", attempt.module.Stat)
    bare = {"grid": "an array", "floor": "a number that is marked as data", "features": f"the int {FEATURES}"}
    for name, expected in bare.items():
        value, line = getattr(model, name, None), attempt.line(name, "Gate")
        in_state = isinstance(value, nnx.Variable) or name in attributes(model)
        seen = f"{describe(value)} in `{name}`"
        if not hasattr(model, name):
            yield Finding("missing", name, f"no attribute `{name}`", expected, attempt.line("Gate"))
        elif name == "features":
            if in_state:
                yield Finding("data", name, f"{seen}, in the state", expected, line)
        elif isinstance(value, nnx.Variable):
            yield Finding(home(value), name, seen, expected, line)
        elif not in_state:
            yield Finding("static", name, f"{seen}, which is static", expected, line)


def _started(attempt: Attempt, model: Any, names: Iterable[str]) -> Iterator[Finding]:
    """Yield each attribute, of those that have their home, that starts as something else than its row says."""
    for name in names:
        value = getattr(model, name)
        start = START[name]
        line = attempt.line(name, "Gate")
        inside, where = content(value), f"{describe(value)} in `{name}`"
        if is_array(start) and not is_array(inside):
            kind, about = ("number-inside", "") if isinstance(value, nnx.Variable) else ("object", name)
            yield Finding(kind, about, where, f"an array {spec(start)}", line)
            continue
        kind = difference(inside, start)
        if name == "features" and kind != "shape" and type(inside) is not int:
            kind = "type"
        match kind:
            case "shape":
                seen = f"{name} has shape {list(np.shape(inside))}"
                yield Finding("shape", name, seen, f"{list(np.shape(start))}", line)
            case "dtype":
                yield Finding("dtype", name, f"{name} is {spec(inside)}", spec(start), line)
            case "type":
                yield Finding("type", name, where, f"the int {FEATURES}", line)
            case "value":
                yield Finding("value", name, f"{name} is {numbers(inside)}", numbers(start), line)


def _traces(model: Any, floors: Iterable[float | None]) -> int:
    """Return how often a compiled call is traced while these floors are assigned; None assigns nothing."""

    def calls() -> Iterator[tuple[Any, jax.Array]]:
        for floor in floors:
            if floor is not None:
                model.floor = floor
            yield model, jnp.ones(FEATURES)

    return traces(lambda gate, x: gate(x), calls())


def _damage(attempt: Attempt, finding: Finding) -> str:
    """Say in one sentence what a wrong home or a wrong start does in a run."""
    model = build(attempt)
    stat = attempt.module.Stat
    name = finding.about
    value: Any = getattr(model, name, None)
    match finding.kind, name:
        case "param", _:
            integer = jnp.issubdtype(jnp.asarray(content(value)).dtype, jnp.integer)
            if integer and (said := integer_gradient(model, lambda model: model(jnp.ones(FEATURES)).sum())):
                return f"`nnx.grad` of this model raises TypeError: {said.partition(' (')[0]}."
            now = numbers(decayed(model, name))
            return f"One step of adamw(0.1, weight_decay=0.1) turned the 5 in `{name}` into {now}."
        case ("static" | "variable", "floor") | ("number", "calls"):
            taken = _traces(model, [None, -2.0, -3.0])
            return f"Three compiled calls, with the floors -1, -2 and -3, took {taken} traces."
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
            return f"`nnx.state(gate, nnx.Param)` finds {found_by(model, nnx.Param)}."
        case ("stat" | "type" | "array" | "variable" | "data", "calls" | "total" | "grid"):
            variables = found_by(model, nnx.Variable)
            return f"The filter Stat finds {found_by(model, stat)}; the filter `nnx.Variable` finds {variables}."
        case ("static" | "missing", "grid"):
            return f"A checkpoint of `nnx.state(gate)` has {listed(attributes(model))}."
    return ""


def _result(attempt: Attempt, y: Any) -> Iterator[Finding]:
    """Name what a call returns, if it is another thing than the formula gives."""
    line, inner = attempt.line("__call__"), (X - GRID) * SCALE
    wanted = np.maximum(inner, FLOOR)
    formulas = {
        "no-floor": inner,
        "floor-first": np.maximum(X - GRID, FLOOR) * SCALE,
        "minimum": np.minimum(inner, FLOOR),
        "fixed-floor": np.maximum(inner, START["floor"]),
        "fixed-grid": np.maximum((X - START["grid"]) * SCALE, FLOOR),
    }
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "gate", f"a call returns {describe(y)}", "an array", line)
    elif y.shape != X.shape:
        yield Finding("result-shape", "gate", spec(y), spec(X), line)
    elif not close(y, wanted):
        seen = f"{numbers(y)} where all values are known, and floor is {FLOOR}"
        yield Finding(formula_of(y, formulas), "gate", seen, numbers(wanted), line)
