"""Checks of the exercise Batch statistics.

First what each value of `Norm` is kept in; then a call in training, plain and compiled, and one in evaluation, which
is tried once the formula of training is right; then `set_view`, through `nnx.view`. Last comes `evaluate`, with layers
of NNX, so that it is checked whatever is wrong with `Norm`. All expected numbers are computed by NumPy.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.damage import decayed, traces
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import role
from nnx_state.practice.stages import needs, part
from nnx_state.practice.state import attributes, found_by
from nnx_state.practice.values import array_of, close, content, describe, known, numbered, numbers, put

X = np.array([[1.3, -2.0, 0.001], [3.1, 0.2, 0.004], [-1.2, 5.3, -0.003], [2.4, 1.1, 0.002]], np.float32)
NEW = {"scale": np.ones(3), "bias": np.zeros(3), "mean": np.zeros(3), "var": np.ones(3)}
TYPES: dict[str, type[nnx.Variable[Any]]] = {
    "scale": nnx.Param,
    "bias": nnx.Param,
    "mean": nnx.BatchStat,
    "var": nnx.BatchStat,
}
SCALE = np.array([1.2, 2.1, 3.4], np.float32)
BIAS = np.array([4.3, 5.7, 6.1], np.float32)
MEAN = np.array([0.6, -1.1, 2.2], np.float32)
VAR = np.array([2.3, 0.4, 1.7], np.float32)
KNOWN = {"scale": SCALE, "bias": BIAS, "mean": MEAN, "var": VAR}
KEPT = 0.75  # the share of an average that a call keeps


def fill(layer: Any) -> Any:
    """Give a layer known values, and return it."""
    for name, values in KNOWN.items():
        put(layer, name, array_of(values))
    return layer


def build(attempt: Attempt) -> Any:
    """Return a layer of the attempt with known values."""
    return fill(attempt.call(f"Norm(3, {KEPT})"))


def names(attempt: Attempt) -> Iterator[Finding]:
    """The layer is there, and written in this file."""
    if issubclass(attempt.module_class("Norm", "features", "momentum"), nnx.BatchNorm):
        seen = "`Norm` is an nnx.BatchNorm"
        raise Stop(Finding("library", "Norm", seen, "a layer written in this file", attempt.line("Norm")))
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """Each value has its type and its first numbers, and the switch is a bool.

    A value with the wrong type of Variable can still be computed with; one without a Variable ends the checks.
    """
    norm = attempt.call(f"Norm(3, {KEPT})")
    for name, wanted in NEW.items():
        line = attempt.line(name, "Norm")
        for finding in role(attempt, norm, name, TYPES[name]):
            worse = replace(finding, measured=_damage(attempt, finding))
            if finding.kind not in {"param", "variable", "type"}:
                raise Stop(worse)
            yield worse
        value = content(getattr(norm, name))
        if np.shape(value) != (3,):
            raise Stop(Finding("shape", name, f"{name} has shape {list(np.shape(value))}", "[3] for 3 features", line))
        if not close(value, wanted):
            yield Finding("value", name, f"{name} starts as {numbers(value)}", numbers(wanted), line)
    if extra := [name for name in attributes(norm) if name not in {*NEW, "use_running_average"}]:
        yield Finding("extra", "", f"also {', '.join(extra)}", ", ".join(NEW), attempt.line(extra[0]))
    switch = getattr(norm, "use_running_average", None)
    line = attempt.line("use_running_average", "Norm")
    if switch is None:
        raise Stop(Finding("missing", "use_running_average", "no such attribute", "False", line))
    if switch is not False:
        kind = "value" if switch is True else "not-bool"
        seen = f"use_running_average is {describe(switch)}"
        raise Stop(Finding(kind, "use_running_average", seen, "False", line))


def training(attempt: Attempt) -> Iterator[Finding]:
    """With the switch off, a call normalises with the batch and moves the averages."""
    norm, line = build(attempt), _call_line(attempt)
    before = {name: getattr(norm, name) for name in NEW}
    try:
        y = attempt.call("norm(x)", norm=norm, x=array_of(X))
    except (TypeError, ValueError) as error:
        attempt.call("norm(x)", norm=build(attempt), x=array_of(X[:3]))  # raises too, unless the shape stops it
        seen = f"a batch of four raised {type(error).__name__}, one of three did not"
        raise Stop(Finding("axis", "training", seen, "mean and var of the batch", line)) from None
    if not isinstance(y, jax.Array) or y.shape != X.shape:
        raise Stop(Finding("result-type", "training", f"it returns {describe(y)}", "one array, float32[4, 3]", line))
    yield from _result(y, line)
    for name in NEW:
        if getattr(norm, name) is not before[name]:
            seen = f"after a call, {describe(getattr(norm, name))} stands in `{name}`"
            measured = f"After one call, `nnx.state(norm, nnx.BatchStat)` finds {found_by(norm, nnx.BatchStat)}."
            line = attempt.changing_line(name, replaces=True)
            raise Stop(Finding("replaced", "averages", seen, "the BatchStat from before", line, measured))
    for name, old, batch in (("mean", MEAN, X.mean(axis=0)), ("var", VAR, X.var(axis=0))):
        now = np.asarray(content(getattr(norm, name)))
        wanted = KEPT * old + (1 - KEPT) * batch
        if close(now, wanted):
            continue
        kind, measured = _average(now, old, batch), ""
        if kind == "unbiased":
            share = ((now - KEPT * old) / (1 - KEPT) / batch)[0]
            measured = f"{share:.3g} times the variance of the four examples went in."
        seen = f"{name} went from {numbers(old)} to {numbers(now)}, with {numbers(batch)} in the batch"
        raise Stop(Finding(kind, "averages", seen, numbers(wanted), line, measured))


def compiled(attempt: Attempt) -> Iterator[Finding]:
    """Under `nnx.jit` the same happens, and one trace serves all batches."""
    norm, line = build(attempt), attempt.line("__call__", "Norm")
    with attempt.does("`train(norm, x)`"):
        taken = traces(lambda norm, x: norm(x), [(norm, array_of(X))] * 3)
    if taken > 1:
        measured = f"Three batches of one shape were compiled {taken} times."
        yield Finding("retraced", "Norm", f"{taken} traces", "one trace", line, measured)
    now, wanted = content(norm.mean), KEPT**3 * MEAN + (1 - KEPT**3) * X.mean(axis=0)
    if not close(now, wanted):
        seen = f"after three calls under nnx.jit the mean is {numbers(now)}"
        yield Finding("value", "averages", seen, numbers(wanted), line)


@needs(training)
def evaluation(attempt: Attempt) -> Iterator[Finding]:
    """With the switch on, a call normalises with the averages and changes nothing."""
    norm, line = build(attempt), _call_line(attempt)
    norm.use_running_average = True
    y, wanted = attempt.call("norm(x)", norm=norm, x=array_of(X)), _normal(MEAN, VAR)
    if not close(y, wanted):
        seen = f"{numbers(y)} with the switch on"
        if close(y, _normal(X.mean(axis=0), X.var(axis=0))):
            alone = norm(array_of(X[:1]))[0]
            measured = f"One example got {numbers(y[0])} in a batch of four and {numbers(alone)} alone."
            yield Finding("batch", "evaluation", seen, numbers(wanted), line, measured)
        else:
            yield Finding("formula", "evaluation", seen, numbers(wanted), line)
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
            kind = "off" if before else "ignored"
            seen = f"a view with use_running_average={wanted} has {view.use_running_average}"
            raise Stop(Finding(kind, "set_view", seen, str(wanted), line))
    norm.use_running_average = True
    model = nnx.Sequential(norm, nnx.Dropout(0.5))
    call = "nnx.view(model, deterministic=True)"
    try:
        switch = attempt.call(call, nnx=nnx, model=model).layers[0].use_running_average
    except TypeError as error:
        raise Stop(Finding("none", "set_view", f"`{call}` raised TypeError: {error}", "a view", line)) from None
    if switch is not True:
        yield Finding("none", "set_view", f"`{call}` turns the switch from True to {switch}", "True", line)


def evaluating(attempt: Attempt) -> Iterator[Finding]:
    """`evaluate` gives what a model computes with the averages, and leaves the model as it is.

    The model is a BatchNorm or has one inside, the switch off or on before, and the call plain; the two that differ
    most are compiled, too.
    """
    attempt.function("evaluate", "model", "x")
    for nested in (False, True):
        for switch in (False, True):
            _evaluated(attempt, nested, "evaluate(model, x)", switch)
        _evaluated(attempt, nested, "nnx.jit(evaluate)(model, x)", nested)
    yield from ()


STAGES = (*part(names, roles, training, compiled, evaluation, views), *part(evaluating))


def _call_line(attempt: Attempt) -> int | None:
    return attempt.line("__call__", "Norm") or attempt.line("Norm")


def _normal(mean: Any, var: Any, x: np.ndarray = X, epsilon: float = 1e-5) -> Any:
    """Return a batch that is normalised with a mean and a variance, scaled and shifted."""
    return (x - mean) / np.sqrt(var + epsilon) * SCALE + BIAS


def _result(y: Any, line: int | None) -> Iterator[Finding]:
    """Name the formula of a training call, if it is another one."""
    mean, var = X.mean(axis=0), X.var(axis=0)
    wanted = _normal(mean, var)
    if close(y, wanted):
        return
    moved = KEPT * MEAN + (1 - KEPT) * mean, KEPT * VAR + (1 - KEPT) * var
    rows = X.mean(axis=1, keepdims=True), X.var(axis=1, keepdims=True)
    unit = (wanted - BIAS) / SCALE
    outside_the_root = (X - mean) / (np.sqrt(var) + 1e-5) * SCALE + BIAS
    formulas = {
        "averages": (_normal(MEAN, VAR), _normal(*moved)),
        "unbiased": _normal(mean, X.var(axis=0, ddof=1)),
        "axis": (_normal(X.mean(), X.var()), _normal(*rows)),
        "epsilon": (outside_the_root, *(_normal(mean, var, X, epsilon) for epsilon in (0.0, 1e-3, 1e-8))),
        "no-root": (X - mean) / (var + 1e-5) * SCALE + BIAS,
        "no-scale": (unit, unit * SCALE, unit + BIAS),
    }
    words = {
        "averages": "with the averages",
        "unbiased": "with the variance over n - 1",
        "axis": "with other axes than the batch",
        "epsilon": "with another epsilon",
        "no-root": "without the square root",
        "no-scale": "without scale or bias",
    }
    if kind := formula_of(y, formulas, otherwise=""):
        seen = f"the batch is normalised {words[kind]}"
        yield Finding(kind, "training", seen, "mean and var of the batch", line)
    else:
        yield Finding("formula", "training", numbers(y), numbers(wanted), line)


def _average(now: Any, old: np.ndarray, batch: np.ndarray) -> str:
    """Name the rule that an average follows."""
    rules = {
        "unchanged": old,
        "overwritten": batch,
        "fixed": 0.9 * old + 0.1 * batch,
        "pytorch": KEPT * batch + (1 - KEPT) * old,
        "unbiased": KEPT * old + (1 - KEPT) * X.var(axis=0, ddof=1),
    }
    return formula_of(now, rules, otherwise="value")


def _norm_of_nnx() -> Any:
    """Return a BatchNorm with known values."""

    def make() -> nnx.BatchNorm:
        return nnx.BatchNorm(3, momentum=KEPT, rngs=nnx.Rngs(0))

    return fill(numbered(make, lambda _, leaf: known(leaf)))


def _evaluated(attempt: Attempt, nested: bool, call: str, switch: bool) -> None:
    """Evaluate one model.

    Raises:
        Stop: If the result is another one, or the model is.
    """
    line = attempt.line("evaluate")
    layer = _norm_of_nnx()
    layer.use_running_average = switch
    model = nnx.Sequential(jnp.sin, layer) if nested else layer
    what = "Sequential(sin, BatchNorm)" if nested else "a BatchNorm"
    try:
        y = attempt.call(call, model=model, x=array_of(X), nnx=nnx)
    except AttributeError as error:
        if not nested:
            raise
        seen = f"of {what} it raised AttributeError: {error}"
        raise Stop(Finding("nested", "evaluate", seen, "any model", line)) from None
    case = f"`{call}` of {what} with the switch {'on' if switch else 'off'}"
    if not isinstance(y, jax.Array):
        raise Stop(Finding("result-type", "evaluate", f"{case}: {describe(y)}", "an array", line))
    inputs = np.sin(X) if nested else X
    wanted = _normal(MEAN, VAR, inputs)
    stays = all(close(content(getattr(layer, name)), KNOWN[name]) for name in NEW)
    if not close(y, wanted):
        with_batch = _normal(inputs.mean(axis=0), inputs.var(axis=0), inputs)
        formulas = {"nested" if nested else "training": with_batch}
        kind = formula_of(y, formulas, otherwise="result-value" if stays else "moves")
        raise Stop(Finding(kind, "evaluate", f"{case}: {numbers(y)}", numbers(wanted), line))
    if not stays:
        seen = f"{case}: the mean is {numbers(content(layer.mean))}"
        raise Stop(Finding("moves", "evaluate", seen, f"{numbers(MEAN)}, as before", line))
    if layer.use_running_average is not switch:
        kind = "turns-off" if switch else "leaks"
        seen = f"{case}: afterwards it is {layer.use_running_average}"
        layer(array_of(X))
        moved = "left the averages alone" if close(content(layer.mean), MEAN) else "moved the averages"
        raise Stop(Finding(kind, "evaluate", seen, str(switch), line, f"The next call of the layer {moved}."))


def _damage(attempt: Attempt, finding: Finding) -> str:
    """Say in one sentence what a wrong type does to an average or a Param."""
    norm, name = attempt.call(f"Norm(3, {KEPT})"), finding.about
    if finding.kind == "param":
        now = numbers(decayed(norm, name))
        return f"A step of adamw(0.1, weight_decay=0.1) without any slope turned a {name} of 5 into {now}."
    wanted = TYPES[name]
    return f"`nnx.state(norm, nnx.{wanted.__name__})` finds {found_by(norm, wanted)}."
