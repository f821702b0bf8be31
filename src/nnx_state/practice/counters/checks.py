"""Checks of the exercise Counters and buffers."""

import contextlib
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, close, content, describe, numbers, role, spec
from nnx_state.practice.trials import held

FEATURES = 3
START = {"calls": jnp.zeros((), jnp.int32), "mean": jnp.zeros(FEATURES), "last": jnp.zeros(FEATURES)}
INPUTS = [jnp.array([number, 1.0, -number]) for number in (1.0, 2.0, 9.0)]


class Holder(nnx.Module):
    """A model around the module of the attempt, with values of every home."""

    def __init__(self, layer: Any, scratch: Any) -> None:
        self.layer = layer
        self.dense = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
        self.note = jnp.zeros(())
        self.seen = scratch(jnp.zeros(2))


def build(attempt: Attempt) -> Any:
    """Return a module of the attempt."""
    return attempt.call(f"Centered({FEATURES})")


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there, and the two types are told apart."""
    buffer, scratch = (attempt.variable_type(name) for name in ("Buffer", "Scratch"))
    for name, kind in {"Buffer": buffer, "Scratch": scratch}.items():
        if kind.__module__.startswith("flax."):
            line = attempt.line(name)
            raise Stop(Finding("not-own", name, f"it is nnx.{kind.__name__}", "a class of its own", line))
    attempt.module_class("Centered")
    attempt.function("to_save", "model")
    for name, kind, other in (("Scratch", scratch, buffer), ("Buffer", buffer, scratch)):
        if issubclass(kind, other):
            seen, line = f"`issubclass({name}, {other.__name__})`", attempt.line(name)
            raise Stop(Finding("related", name, seen, "neither derives from the other", line, _found(attempt)))
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """Each value has the type that its role needs, and starts as the problem says."""
    for finding in _start(attempt, build(attempt)):
        with contextlib.suppress(Exception):
            finding = replace(finding, measured=_damage(finding, attempt))
        yield finding
    paths = {str(path[0]) for path, _ in nnx.to_flat_state(nnx.state(build(attempt)))}
    if extra := sorted(paths - {*START}):
        yield Finding("extra", "", f"also {', '.join(extra)}", ", ".join(START), attempt.line(extra[0], "Centered"))


def calls(attempt: Attempt) -> Iterator[Finding]:
    """Three calls count, remember, and return the input minus the mean so far."""
    model = build(attempt)
    wrong = {finding.about for finding in _start(attempt, model)}
    kept = {name: getattr(model, name, None) for name in START}
    before, y = None, None
    try:
        for x in INPUTS:
            before = content(kept["mean"])
            y = attempt.call("model(x)", model=model, x=x)
    except NotImplementedError as error:
        if "In-place" not in str(error):
            raise
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(attempt.path)]
        line, seen = frames[-1].lineno, f"`{frames[-1].line}` raised NotImplementedError"
        raise Stop(Finding("in-place", "", seen, "a write into the Variable", line)) from None
    except Exception:
        if wrong:
            return
        raise
    for name in (name for name in START if name not in wrong and getattr(model, name) is not kept[name]):
        seen, line = f"after a call, {describe(getattr(model, name))} stands in it", attempt.line(name, "__call__")
        measured = f"What held the old Variable still reads {numbers(content(kept[name]))} after three calls."
        yield Finding("replaced", name, seen, "the Variable from before", line, measured)
        wrong.add(name)
    for name in ("calls", "last", "mean"):
        finding = None if name in wrong else _updated(attempt, name, content(getattr(model, name)))
        if finding and not (name == "mean" and "calls" in wrong):  # the mean divides by the calls
            yield finding
        wrong |= {name} if finding else set()
    if "mean" not in wrong:
        yield from _result(attempt, y, before, content(model.mean))


def compiled(attempt: Attempt) -> Iterator[Finding]:
    """A compiled step is traced once, and counts as well."""
    model, eager, traces = build(attempt), build(attempt), []
    if any(_start(attempt, model)):
        return
    kept = {name: getattr(model, name) for name in START}

    @nnx.jit
    def forward(model: Any, x: jax.Array) -> Any:
        traces.append("trace")
        return model(x)

    with attempt.does("`nnx.jit(lambda model, x: model(x))(model, x)`"):
        for x in INPUTS:
            forward(model, x), eager(x)
    if any(getattr(model, name) is not kept[name] for name in START):  # that is found above
        return
    other = [name for name in START if not close(content(getattr(model, name)), content(getattr(eager, name)))]
    if len(traces) > 1:
        weak = [name for name in ("mean", "last") if content(getattr(build(attempt), name)).weak_type]
        about, kind = (weak[0], "weak") if weak and len(traces) == 2 else ("forward", "retraced")
        line = attempt.line(about, "Centered") or attempt.line("__call__")
        yield Finding(kind, about, f"3 calls, {len(traces)} traces", "1 trace", line)
    elif other:
        now, wanted = (f"{other[0]} {numbers(content(getattr(each, other[0])))}" for each in (model, eager))
        seen = f"after three calls under `nnx.jit`, {now}"
        yield Finding("baked-in", "forward", seen, f"{wanted}, as without it", attempt.line("__call__"))


def saving(attempt: Attempt) -> Iterator[Finding]:
    """What is to be saved is all but the Scratch, in any model."""
    scratch, line = attempt.module.Scratch, attempt.line("to_save")
    model = Holder(build(attempt), scratch)
    leaves = held(nnx.state(model))
    wanted = {path for path, leaf in leaves.items() if not isinstance(leaf, scratch)}
    state = attempt.call("to_save(model)", model=model)
    if lost := sorted({*leaves} - {*held(nnx.state(model))}):
        seen = f"after the call the model has no {', '.join(lost)}"
        yield Finding("pops", "to_save", seen, "the model stays as it is", line)
    elif not isinstance(state, nnx.State):
        yield Finding("result-type", "to_save", describe(state), "an nnx.State", line)
    else:
        saved = {*held(state)}
        if lost := sorted(wanted - saved):
            count, total = (sum(np.size(content(leaves[path])) for path in paths) for paths in (lost, wanted))
            measured = f"Of the numbers in this model {total} are to be saved; lost are {count}."
            yield Finding(
                "forgets", "to_save", f"it leaves out {', '.join(lost)}", "all but the Scratch", line, measured
            )
        if more := sorted(saved - wanted):
            count = sum(np.size(content(leaves[path])) for path in more)
            measured = f"Each checkpoint of this model holds {count} numbers that the next call overwrites."
            yield Finding("scratch", "to_save", f"it also has {', '.join(more)}", "no Scratch", line, measured)


STAGES = (names, roles, calls, compiled, saving)


def _start(attempt: Attempt, model: Any) -> Iterator[Finding]:
    buffer, scratch = attempt.module.Buffer, attempt.module.Scratch
    for name, start in START.items():
        value, line = getattr(model, name, None), attempt.line(name, "Centered")
        held, wanted = content(value), scratch if name == "last" else buffer
        found = list(role(attempt, model, name, wanted))
        if found and isinstance(value, (buffer, scratch)):
            found = [replace(found[0], kind="buffer" if name == "last" else "scratch")]
        elif found and found[0].kind == "number" and name == "calls" and name in nnx.state(model):
            found = [replace(found[0], kind="data")]
        if found:
            yield from found
        elif not isinstance(held, (jax.Array, np.ndarray)):
            yield Finding("number-inside", "", f"{describe(value)} in `{name}`", f"an array {spec(start)}", line)
        elif held.shape != start.shape:
            yield Finding("shape", name, f"it has shape {list(held.shape)}", f"{list(start.shape)}", line)
        elif held.dtype != start.dtype:
            yield Finding("dtype", name, f"it is {spec(held)}", spec(start), line)
        elif not close(held, start):
            yield Finding("value", name, f"it is {numbers(held)}", "zero", line)


def _found(attempt: Attempt) -> str:
    filters = attempt.module.Buffer, nnx.Not(attempt.module.Scratch)
    buffers, saved = (", ".join(nnx.state(build(attempt), kind)) or "nothing" for kind in filters)
    return f"The filter Buffer finds {buffers}; a save without Scratch has {saved}."


def _damage(finding: Finding, attempt: Attempt) -> str:
    """Say in one sentence what a wrong home or dtype does in a run."""
    import optax

    model, name = build(attempt), finding.about
    value: Any = getattr(model, name, None)
    match finding.kind:
        case "param" if jnp.issubdtype(value.dtype, jnp.integer):
            try:
                nnx.grad(lambda model: model(INPUTS[0]).sum())(model)
            except TypeError as error:
                return f"`nnx.grad` of this model raises TypeError: {str(error).partition(' (')[0]}."
        case "param":
            value.set_value(jnp.full(value.shape, 5.0))
            optimizer = nnx.Optimizer(model, optax.adamw(0.1, weight_decay=0.1), wrt=nnx.Param)
            optimizer.update(model, jax.tree.map(jnp.zeros_like, nnx.state(model, nnx.Param)))
            return f"One step of adamw(0.1, weight_decay=0.1) turned the 5 in `{name}` into {numbers(content(value))}."
        case "number":
            traces = []
            step = nnx.jit(lambda model, x: (traces.append("trace"), model(x))[1])  # type: ignore[func-returns-value]
            _ = [step(model, x) for x in INPUTS]
            return f"Three compiled calls took {len(traces)} traces."
        case "array" | "type" | "scratch" | "buffer" | "data":
            return _found(attempt)
        case "dtype" if name == "calls" and value.dtype == jnp.float32:
            value.set_value(jnp.float32(2**24))
            model(INPUTS[0])
            return f"At {2**24} a call leaves it at {int(content(model.calls))}."
        case "dtype" if name == "mean":
            _ = [model(x) for x in INPUTS]
            return f"After the inputs 1, 2 and 9 the mean is {numbers(content(model.mean)[0])}, not 4."
    return ""


def _updated(attempt: Attempt, name: str, now: Any) -> Finding | None:
    """Compare a value after the three calls with what it should be, and name what went wrong."""
    line = attempt.line(name, "__call__") or attempt.line("__call__")
    wanted = {"calls": jnp.array(3), "mean": jnp.array([4.0, 1.0, -4.0]), "last": INPUTS[-1]}[name]
    if close(now, wanted):
        return None
    means = {"sum": [12.0, 3.0, -12.0], "overwritten": INPUTS[-1], "late": [3.0, 0.75, -3.0]}
    means["no-difference"] = [5.0, 11 / 6, -5.0]
    kind = "unchanged" if close(now, START[name]) else "update"
    if name == "mean":
        kind = next((kind for kind, value in means.items() if close(now, value)), kind)
        kind = kind if np.isfinite(now).all() else "nan"
    seen = f"after the inputs 1, 2 and 9 it is {numbers(now)}"
    return Finding(kind, name, seen, numbers(wanted), line)


def _result(attempt: Attempt, y: Any, before: Any, mean: Any) -> Iterator[Finding]:
    """Name what the last call returned, if it is not the input minus the new mean."""
    line, x = attempt.line("__call__"), INPUTS[-1]
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "forward", f"a call returns {describe(y)}", "an array", line)
    elif not close(y, x - mean):
        kind = "old-mean" if close(y, x - before) else "mean" if close(y, mean) else "formula"
        yield Finding(kind, "forward", f"{numbers(y)} for {numbers(x)}", f"{numbers(x - mean)}", line)
