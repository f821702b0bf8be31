"""Checks of the exercise Counters and buffers.

First what each of the three values is kept in and starts as; then three calls, then the same calls compiled, and last
what is saved. A wrong type is shown by a run in which it does harm, and what it breaks in the calls is not told again.
"""

from collections.abc import Iterator
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
from nnx_state.practice.state import attributes, found_by, held
from nnx_state.practice.trials import writing
from nnx_state.practice.values import array_of, close, content, describe, is_array, known, numbered, numbers, ramp, spec

FEATURES = 3
START: dict[str, Any] = {
    "calls": np.zeros((), np.int32),
    "mean": np.zeros(FEATURES, np.float32),
    "last": np.zeros(FEATURES, np.float32),
}
INPUTS = [np.array([number, 1.0, -number], np.float32) for number in (1.0, 2.0, 9.0)]
AFTER: dict[str, Any] = {"calls": np.array(3), "mean": np.array([4.0, 1.0, -4.0]), "last": INPUTS[-1]}


class Holder(nnx.Module):
    """A model around the module of the attempt, with values of every home."""

    def __init__(self, layer: Any, scratch: Any) -> None:
        self.layer = layer
        self.dense = numbered(lambda: nnx.Linear(2, 2, rngs=nnx.Rngs(0)), lambda _, leaf: known(leaf))
        self.note = ramp(0.0, 1.0)
        self.seen = scratch(ramp(0.0, 1.0, 2))


def build(attempt: Attempt) -> Any:
    """Return a module of the attempt."""
    return attempt.call(f"Centered({FEATURES})")


def names(attempt: Attempt) -> Iterator[Finding]:
    """The module and the two types are there and told apart; `to_save` is looked for last."""
    types = {name: attempt.own_variable_type(name) for name in ("Buffer", "Scratch")}
    attempt.module_class("Centered", "features")
    for name, other in (("Scratch", "Buffer"), ("Buffer", "Scratch")):
        if issubclass(types[name], types[other]):
            seen = f"`issubclass({name}, {types[other].__name__})`"
            expected = "neither derives from the other"
            raise Stop(Finding("related", name, seen, expected, attempt.line(name), _filtered(attempt)))
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """Each value has the type that its role needs, and starts as the problem says."""
    model = build(attempt)
    for name in START:
        for finding in [*_misplaced(attempt, model, name)] or [*_started(attempt, model, name)]:
            yield replace(finding, measured=shown(_damage, attempt, finding))


def extra(attempt: Attempt) -> Iterator[Finding]:
    """The state has these three values alone."""
    if more := [name for name in attributes(build(attempt)) if name not in START]:
        yield Finding("extra", "", f"also {', '.join(more)}", ", ".join(START), attempt.line(more[0], "Centered"))


def calls(attempt: Attempt) -> Iterator[Finding]:
    """Three calls count, remember, and return the input minus the mean so far.

    A value with a wrong type is passed by, and so is an error that it may cause.
    """
    model = build(attempt)
    wrong = {finding.about for finding in attempt.found[roles]}
    kept = {name: getattr(model, name, None) for name in START}
    means, outputs = [], []
    try:
        with writing(attempt):
            for x in INPUTS:
                means.append(content(kept["mean"]))
                outputs.append(attempt.call("model(x)", model=model, x=array_of(x)))
    except Stop:
        raise
    except Exception:
        if wrong:
            return
        raise
    for name in [name for name in START if name not in wrong]:
        if getattr(model, name) is not kept[name]:
            seen = f"after a call, {describe(getattr(model, name))} stands in it"
            measured = f"What held the old Variable still reads {numbers(content(kept[name]))} after three calls."
            line = attempt.changing_line(name, replaces=True)
            yield Finding("replaced", name, seen, "the Variable from before", line, measured)
            wrong.add(name)
    for name in [name for name in ("calls", "last", "mean") if name not in wrong]:
        now = content(getattr(model, name))
        if close(now, AFTER[name]):
            continue
        if name != "mean" or "calls" not in wrong:  # the mean divides by the calls
            yield _not_updated(attempt, name, now)
        wrong.add(name)
    if "mean" not in wrong:
        yield from _result(attempt, outputs[-1], means[-1], content(model.mean))


@needs(roles)
def compiled(attempt: Attempt) -> Iterator[Finding]:
    """A compiled step is traced once, and counts as well."""
    model, eager = build(attempt), build(attempt)
    kept = {name: getattr(model, name) for name in START}
    inputs = [array_of(x) for x in INPUTS]
    with attempt.does("`nnx.jit(lambda model, x: model(x))(model, x)`"):
        taken = traces(lambda model, x: model(x), [(model, x) for x in inputs])
        for x in inputs:
            eager(x)
    if any(getattr(model, name) is not kept[name] for name in START):
        return  # another Variable compiles again: that is found in the calls
    if taken > 1:
        weak = [name for name in ("mean", "last") if content(getattr(build(attempt), name)).weak_type]
        about, kind = (weak[0], "weak") if weak and taken == 2 else ("forward", "retraced")
        line = attempt.line(about, "Centered") or attempt.line("__call__")
        yield Finding(kind, about, f"3 calls, {taken} traces", "1 trace", line)
        return
    for name in START:
        now, wanted = (content(getattr(each, name)) for each in (model, eager))
        if not close(now, wanted):
            seen = f"after three calls under `nnx.jit`, {name} {numbers(now)}"
            expected = f"{name} {numbers(wanted)}, as without it"
            yield Finding("baked-in", "forward", seen, expected, attempt.line("__call__"))
            return


def saving(attempt: Attempt) -> Iterator[Finding]:
    """What is to be saved is all but the Scratch, in any model."""
    attempt.function("to_save", "model")
    scratch, line = attempt.module.Scratch, attempt.line("to_save")
    model = Holder(build(attempt), scratch)
    leaves = held(model)
    sizes = {path: np.size(content(leaf)) for path, leaf in leaves.items()}
    wanted = {path for path, leaf in leaves.items() if not isinstance(leaf, scratch)}
    state = attempt.call("to_save(model)", model=model)
    if popped := sorted(leaves.keys() - held(model).keys()):
        seen = f"after the call the model has no {', '.join(popped)}"
        yield Finding("pops", "to_save", seen, "the model stays as it is", line)
        return
    if not isinstance(state, nnx.State):
        yield Finding("result-type", "to_save", describe(state), "an nnx.State", line)
        return
    saved = held(state).keys()
    if lost := sorted(wanted - saved):
        total, count = (sum(sizes[path] for path in paths) for paths in (wanted, lost))
        seen = f"of a model with a layer `dense` and an array `note` it leaves out {', '.join(lost)}"
        measured = f"Of the numbers in this model {total} are to be saved; lost are {count}."
        yield Finding("forgets", "to_save", seen, "all but the Scratch", line, measured)
    if more := sorted(saved - wanted):
        count = sum(sizes[path] for path in more)
        measured = f"Each checkpoint of this model holds {count} numbers that the next call overwrites."
        yield Finding("scratch", "to_save", f"it also has {', '.join(more)}", "no Scratch", line, measured)


STAGES = (names, roles, extra, calls, compiled, saving)


def _misplaced(attempt: Attempt, model: Any, name: str) -> Iterator[Finding]:
    """Yield what is wrong with the type of a value, and tell the other type and marked data from the rest."""
    own = attempt.module.Buffer, attempt.module.Scratch
    for finding in role(attempt, model, name, attempt.module.Scratch if name == "last" else attempt.module.Buffer):
        if isinstance(getattr(model, name, None), own):
            yield replace(finding, kind="buffer" if name == "last" else "scratch")
        elif finding.kind == "number" and name == "calls" and name in nnx.state(model):
            yield replace(finding, kind="data")
        else:
            yield finding


def _started(attempt: Attempt, model: Any, name: str) -> Iterator[Finding]:
    """Yield how a value of the right type starts, if that is not as the problem says."""
    value = getattr(model, name)
    start = START[name]
    line = attempt.line(name, "Centered")
    inside = content(value)
    if not is_array(inside):
        seen = f"{describe(value)} in `{name}`"
        yield Finding("number-inside", "", seen, f"an array {spec(start)}", line)
        return
    match difference(inside, start):
        case "shape":
            yield Finding("shape", name, f"it has shape {list(inside.shape)}", f"{list(start.shape)}", line)
        case "dtype":
            yield Finding("dtype", name, f"it is {spec(inside)}", spec(start), line)
        case "value":
            yield Finding("value", name, f"it is {numbers(inside)}", "zero", line)


def _filtered(attempt: Attempt) -> str:
    """Say what the two filters find that the types are made for."""
    model = build(attempt)
    buffers = found_by(model, attempt.module.Buffer)
    saved = found_by(model, nnx.Not(attempt.module.Scratch))
    return f"The filter Buffer finds {buffers}; a save without Scratch has {saved}."


def _damage(attempt: Attempt, finding: Finding) -> str:
    """Say in one sentence what a wrong home or dtype does in a run."""
    model, name = build(attempt), finding.about
    value: Any = getattr(model, name, None)
    inputs = [array_of(x) for x in INPUTS]
    match finding.kind:
        case "param":
            integer = jnp.issubdtype(value.dtype, jnp.integer)
            if integer and (said := integer_gradient(model, lambda model: model(inputs[0]).sum())):
                return f"`nnx.grad` of this model raises TypeError: {said.partition(' (')[0]}."
            now = numbers(decayed(model, name))
            return f"One step of adamw(0.1, weight_decay=0.1) turned the 5 in `{name}` into {now}."
        case "number":
            taken = traces(lambda model, x: model(x), [(model, x) for x in inputs])
            return f"Three compiled calls took {taken} traces."
        case "array" | "type" | "scratch" | "buffer" | "data":
            return _filtered(attempt)
        case "dtype" if name == "calls" and value.dtype == jnp.float32:
            value.set_value(jnp.float32(2**24))
            model(inputs[0])
            return f"At {2**24} a call leaves it at {int(content(model.calls))}."
        case "dtype" if name == "mean":
            for x in inputs:
                model(x)
            return f"After the inputs 1, 2 and 9 the mean is {numbers(content(model.mean)[0])}, not 4."
    return ""


def _not_updated(attempt: Attempt, name: str, now: Any) -> Finding:
    """Name what went wrong with a value that is not what it should be after the three calls."""
    formulas = {"unchanged": START[name]}
    if name == "mean":
        formulas |= {
            "sum": np.array([12.0, 3.0, -12.0]),
            "overwritten": INPUTS[-1],
            "late": np.array([3.0, 0.75, -3.0]),
            "no-difference": np.array([5.0, 11 / 6, -5.0]),
        }
    kind = formula_of(now, formulas, otherwise="update")
    if name == "mean" and not np.isfinite(now).all():
        kind = "nan"
    seen = f"after the inputs 1, 2 and 9 it is {numbers(now)}"
    return Finding(kind, name, seen, numbers(AFTER[name]), attempt.changing_line(name))


def _result(attempt: Attempt, y: Any, before: Any, mean: Any) -> Iterator[Finding]:
    """Name what the last call returned, if it is not the input minus the new mean."""
    line = attempt.line("__call__")
    x = INPUTS[-1]
    wanted = x - np.asarray(mean)
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "forward", f"a call returns {describe(y)}", "an array", line)
    elif not close(y, wanted):
        kind = formula_of(y, {"old-mean": x - np.asarray(before), "mean": mean})
        yield Finding(kind, "forward", f"{numbers(y)} for {numbers(x)}", numbers(wanted), line)
