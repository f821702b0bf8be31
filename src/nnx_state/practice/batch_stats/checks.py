"""Checks of the exercise Batch statistics."""

import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, close, content, describe, numbers, put, role

X = jnp.array([[1.0, -2.0, 0.001], [3.0, 0.0, 0.004], [-1.0, 5.0, -0.003], [2.0, 1.0, 0.002]])
NEW = {"scale": jnp.ones(3), "bias": jnp.zeros(3), "mean": jnp.zeros(3), "var": jnp.ones(3)}
KNOWN = {"scale": [1.0, 2.0, 3.0], "bias": [4.0, 5.0, 6.0], "mean": [0.5, -1.0, 2.0], "var": [2.0, 0.5, 1.5]}
SCALE, BIAS, MEAN, VAR = (jnp.array(values) for values in KNOWN.values())
KEPT = 0.75


def build(attempt: Attempt) -> Any:
    """Return a layer of the attempt with known values."""
    norm = attempt.call(f"Norm(3, {KEPT})")
    for name, values in KNOWN.items():
        put(norm, name, jnp.array(values))
    return norm


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    if issubclass(attempt.module_class("Norm"), nnx.BatchNorm):
        seen = "`Norm` is an nnx.BatchNorm"
        raise Stop(Finding("library", "Norm", seen, "a layer written in this file", attempt.line("Norm")))
    attempt.function("evaluate", "model", "x")
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """Each value has its type and its first numbers, and the switch is a bool."""
    norm = attempt.call(f"Norm(3, {KEPT})")
    for name, wanted in NEW.items():
        line = attempt.line(name, "Norm")
        found = list(role(attempt, norm, name, nnx.Param if name in {"scale", "bias"} else nnx.BatchStat))
        for finding in found:
            measured = _damage(attempt, finding)
            worse = Finding(finding.kind, name, finding.seen, finding.expected, finding.line, measured)
            if finding.kind not in {"param", "variable", "type"}:
                raise Stop(worse)
            yield worse
        value = content(getattr(norm, name))
        if np.shape(value) != (3,):
            raise Stop(Finding("shape", name, f"{name} has shape {list(np.shape(value))}", "[3] for 3 features", line))
        if not close(value, wanted):
            yield Finding("value", name, f"{name} starts as {numbers(value)}", numbers(wanted), line)
    paths = {str(path[0]) for path, _ in nnx.to_flat_state(nnx.state(norm))}
    if extra := sorted(paths - {*NEW, "use_running_average"}):
        yield Finding("extra", seen=f"also {', '.join(extra)}", expected=", ".join(NEW), line=attempt.line(extra[0]))
    if (switch := getattr(norm, "use_running_average", None)) is not False:
        kind = "missing" if switch is None else "value" if switch is True else "not-bool"
        seen = "no such attribute" if switch is None else f"use_running_average is {describe(switch)}"
        line = attempt.line("use_running_average", "Norm")
        raise Stop(Finding(kind, "use_running_average", seen, "False", line))


def training(attempt: Attempt) -> Iterator[Finding]:
    """With the switch off, a call normalises with the batch and moves the averages."""
    norm, line = build(attempt), attempt.line("__call__", "Norm") or attempt.line("Norm")
    before = {name: getattr(norm, name) for name in NEW}
    try:
        y = attempt.call("norm(x)", norm=norm, x=X)
    except (TypeError, ValueError) as error:
        attempt.call("norm(x)", norm=build(attempt), x=X[:3])  # raises too, unless it is the shape that stops it
        seen = f"a batch of four raised {type(error).__name__}, one of three did not"
        raise Stop(Finding("axis", "training", seen, "mean and var of the batch", line)) from None
    if not isinstance(y, jax.Array) or y.shape != X.shape:
        raise Stop(Finding("result-type", "training", f"it returns {describe(y)}", "one array, float32[4, 3]", line))
    yield from _formula(y, line)
    for name in NEW:
        if getattr(norm, name) is not before[name]:
            found = ", ".join(map(str, nnx.state(norm, nnx.BatchStat))) or "nothing"
            measured = f"After one call, `nnx.state(norm, nnx.BatchStat)` finds {found}."
            seen = f"after a call, {describe(getattr(norm, name))} stands in `{name}`"
            raise Stop(Finding("replaced", "averages", seen, "the BatchStat from before", line, measured))
    for name, old, batch in (("mean", MEAN, X.mean(axis=0)), ("var", VAR, X.var(axis=0))):
        now, wanted = content(getattr(norm, name)), KEPT * old + (1 - KEPT) * batch
        if not close(now, wanted):
            kind = _average(now, old, batch)
            share = ((now - KEPT * old) / (1 - KEPT) / batch)[0]
            measured = f"{share:.3g} times the variance of the four examples went in." if kind == "unbiased" else ""
            seen = f"{name} went from {numbers(old)} to {numbers(now)}, with {numbers(batch)} in the batch"
            raise Stop(Finding(kind, "averages", seen, numbers(wanted), line, measured))


def compiled(attempt: Attempt) -> Iterator[Finding]:
    """Under `nnx.jit` the same happens, and one trace serves all batches."""
    norm, runs, line = build(attempt), list[int](), attempt.line("__call__", "Norm")

    def step(norm: Any, x: jax.Array) -> Any:
        runs.append(1)
        return norm(x)

    train = nnx.jit(step)
    for _ in range(3):
        attempt.call("train(norm, x)", train=train, norm=norm, x=X)
    if len(runs) > 1:
        measured = f"Three batches of one shape were compiled {len(runs)} times."
        yield Finding("retraced", "Norm", f"{len(runs)} traces", "one trace", line, measured)
    now, wanted = content(norm.mean), KEPT**3 * MEAN + (1 - KEPT**3) * X.mean(axis=0)
    if not close(now, wanted):
        seen = f"after three calls under nnx.jit the mean is {numbers(now)}"
        yield Finding("value", "averages", seen, numbers(wanted), line)


def evaluation(attempt: Attempt) -> Iterator[Finding]:
    """With the switch on, a call normalises with the averages and changes nothing."""
    norm, line = build(attempt), attempt.line("__call__", "Norm") or attempt.line("Norm")
    if list(_formula(build(attempt)(X), line)):
        return
    norm.use_running_average = True
    y = attempt.call("norm(x)", norm=norm, x=X)
    if not close(y, _normal(MEAN, VAR)):
        batch = close(y, _normal(X.mean(axis=0), X.var(axis=0)))
        measured = (
            f"One example got {numbers(y[0])} in a batch of four and {numbers(norm(X[:1])[0])} alone." if batch else ""
        )
        seen = f"{numbers(y)} with the switch on"
        yield Finding("batch" if batch else "formula", "evaluation", seen, numbers(_normal(MEAN, VAR)), line, measured)
    elif not (close(content(norm.mean), MEAN) and close(content(norm.var), VAR)):
        seen = f"the mean went from {numbers(MEAN)} to {numbers(content(norm.mean))} with the switch on"
        yield Finding("moves", "evaluation", seen, "averages that stay", line)


def views(attempt: Attempt) -> Iterator[Finding]:
    """`nnx.view` turns the switch of a view on and off, and leaves it alone where it is not named."""
    norm, line = build(attempt), attempt.line("set_view", "Norm") or attempt.line("Norm")
    if not hasattr(norm, "set_view"):
        raise Stop(Finding("missing", "set_view", "`Norm` has no method of that name", "set_view", line))
    for before, wanted in ((False, True), (True, False)):
        norm.use_running_average = before
        try:
            view = attempt.call(f"nnx.view(norm, use_running_average={wanted})", nnx=nnx, norm=norm)
        except ValueError as error:
            raise Stop(Finding("ignored", "set_view", f"ValueError: {error}", "a view", line)) from None
        if view.use_running_average is not wanted:
            seen = f"a view with use_running_average={wanted} has {view.use_running_average}"
            raise Stop(Finding("off" if before else "ignored", "set_view", seen, str(wanted), line))
    norm.use_running_average = True
    model, call = nnx.Sequential(norm, nnx.Dropout(0.5)), "nnx.view(model, deterministic=True)"
    try:
        switch = attempt.call(call, nnx=nnx, model=model).layers[0].use_running_average
    except TypeError as error:
        raise Stop(Finding("none", "set_view", f"`{call}` raised TypeError: {error}", "a view", line)) from None
    if switch is not True:
        yield Finding("none", "set_view", f"`{call}` turns the switch from True to {switch}", "True", line)


def evaluating(attempt: Attempt) -> Iterator[Finding]:
    """`evaluate` gives what a model computes with the averages, and leaves the model as it is."""
    line = attempt.line("evaluate")
    calls = "evaluate(model, x)", "nnx.jit(evaluate)(model, x)"
    for nested, call, switch in itertools.product((False, True), calls, (False, True)):
        layer: Any = nnx.BatchNorm(3, momentum=KEPT, use_running_average=switch, rngs=nnx.Rngs(0))
        for name, values in KNOWN.items():
            put(layer, name, jnp.array(values))
        model = nnx.Sequential(jnp.sin, layer) if nested else layer
        try:
            y = attempt.call(call, model=model, x=X, nnx=nnx)
        except AttributeError as error:
            if not nested:
                raise
            seen = f"of Sequential(sin, BatchNorm) it raised AttributeError: {error}"
            raise Stop(Finding("nested", "evaluate", seen, "any model", line)) from None
        what = "Sequential(sin, BatchNorm)" if nested else "a BatchNorm"
        case = f"`{call}` of {what} with the switch {'on' if switch else 'off'}"
        inputs = jnp.sin(X) if nested else X
        wanted, stays = _normal(MEAN, VAR, inputs), all(close(getattr(layer, name)[...], KNOWN[name]) for name in NEW)
        if not isinstance(y, jax.Array):
            raise Stop(Finding("result-type", "evaluate", f"{case}: {describe(y)}", "an array", line))
        if not close(y, wanted):
            batch = close(y, _normal(inputs.mean(axis=0), inputs.var(axis=0), inputs))
            kind = ("nested" if nested else "training") if batch else "result-value" if stays else "moves"
            raise Stop(Finding(kind, "evaluate", f"{case}: {numbers(y)}", numbers(wanted), line))
        if not stays:
            seen = f"{case}: the mean is {numbers(layer.mean[...])}"
            raise Stop(Finding("moves", "evaluate", seen, f"{numbers(MEAN)}, as before", line))
        if layer.use_running_average is not switch:
            layer(X)
            kept = "left the averages alone" if close(layer.mean[...], MEAN) else "moved the averages"
            measured = f"The next call of the layer {kept}."
            seen, kind = f"{case}: afterwards it is {layer.use_running_average}", "turns-off" if switch else "leaks"
            raise Stop(Finding(kind, "evaluate", seen, str(switch), line, measured))
    yield from ()


STAGES = (names, roles, training, compiled, evaluation, views, evaluating)


def _normal(mean: Any, var: Any, x: jax.Array = X, epsilon: float = 1e-5) -> Any:
    return (x - mean) / jnp.sqrt(var + epsilon) * SCALE + BIAS


def _formula(y: Any, line: int | None) -> Iterator[Finding]:
    """Name the formula of a training call, if it is another one."""
    mean, var = X.mean(axis=0), X.var(axis=0)
    wanted = _normal(mean, var)
    if close(y, wanted):
        return
    moved = KEPT * MEAN + (1 - KEPT) * mean, KEPT * VAR + (1 - KEPT) * var
    rows = X.mean(axis=1, keepdims=True), X.var(axis=1, keepdims=True)
    unit, outside = (wanted - BIAS) / SCALE, (X - mean) / (jnp.sqrt(var) + 1e-5) * SCALE + BIAS
    formulas = {
        "averages": ("with the averages", [_normal(MEAN, VAR), _normal(*moved)]),
        "unbiased": ("with the variance over n - 1", [_normal(mean, X.var(axis=0, ddof=1))]),
        "axis": ("with other axes than the batch", [_normal(X.mean(), X.var()), _normal(*rows)]),
        "epsilon": ("with another epsilon", [outside, *(_normal(mean, var, X, e) for e in (0.0, 1e-3, 1e-8))]),
        "no-root": ("without the square root", [(X - mean) / (var + 1e-5) * SCALE + BIAS]),
        "no-scale": ("without scale or bias", [unit, unit * SCALE, unit + BIAS]),
    }
    for kind, (what, values) in formulas.items():
        if any(close(y, value) for value in values):
            yield Finding(kind, "training", f"the batch is normalised {what}", "mean and var of the batch", line)
            return
    yield Finding("formula", "training", numbers(y), numbers(wanted), line)


def _average(now: Any, old: jax.Array, batch: jax.Array) -> str:
    """Name the rule that an average follows."""
    rules = {"unchanged": old, "overwritten": batch, "fixed": 0.9 * old + 0.1 * batch}
    rules["pytorch"] = KEPT * batch + (1 - KEPT) * old
    rules["unbiased"] = KEPT * old + (1 - KEPT) * X.var(axis=0, ddof=1)
    return next((kind for kind, value in rules.items() if close(now, value)), "value")


def _damage(attempt: Attempt, finding: Finding) -> str:
    """Return what a wrong type does to an average or a Param."""
    norm, name = attempt.call(f"Norm(3, {KEPT})"), finding.about
    if finding.kind == "param":
        put(norm, name, jnp.full(3, 5.0))
        optimizer = nnx.Optimizer(norm, optax.adamw(0.1, weight_decay=0.1), wrt=nnx.Param)
        optimizer.update(norm, jax.tree.map(jnp.zeros_like, nnx.state(norm, nnx.Param)))
        now = numbers(content(getattr(norm, name)))
        return f"A step of adamw(0.1, weight_decay=0.1) without any slope turned a {name} of 5 into {now}."
    wanted = nnx.Param if name in {"scale", "bias"} else nnx.BatchStat
    found = ", ".join(map(str, nnx.state(norm, wanted))) or "nothing"
    return f"`nnx.state(norm, nnx.{wanted.__name__})` finds {found}."
