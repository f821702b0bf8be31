"""Checks of the exercise Param and Variable.

First each value: its wrapper, its shape and its numbers. Then the forward pass, with values that are all known, and
last the function that builds the module. A wrong wrapper is shown by what training does to the value.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.damage import decayed, integer_gradient
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import ACTIVATIONS, formula_of
from nnx_state.practice.kernels import INPUTS, OUTPUTS, drawn
from nnx_state.practice.probe import Attempt
from nnx_state.practice.roles import role
from nnx_state.practice.state import found_by, held
from nnx_state.practice.trials import refused_in_place
from nnx_state.practice.values import array_of, close, content, describe, home, numbers, put, ramp, spec

IN, OUT = 5, 3
SHAPES: dict[str, tuple[int, ...]] = {"kernel": (IN, OUT), "bias": (OUT,), "count": ()}
X = np.array([-1.0, 2.0, 0.5, -2.0, 0.25], np.float32)


def build(attempt: Attempt, in_features: int = IN, out_features: int = OUT, seed: int = 0) -> Any:
    """Return a module of the attempt."""
    what = f"MultiParam({in_features}, {out_features}, rngs=nnx.Rngs({seed}))"
    return attempt.call(what, nnx=nnx)


def names(attempt: Attempt) -> Iterator[Finding]:
    """The module is there; the function, which uses it, is looked for last."""
    attempt.module_class("MultiParam", "in_features", "out_features", "rngs")
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """Each value has the wrapper that its role needs, and nothing else is in the state."""
    model = build(attempt)
    for name in SHAPES:
        for finding in role(attempt, model, name, nnx.Variable if name == "count" else nnx.Param):
            yield replace(finding, measured=_damage(finding, model))
    if extra := sorted(path for path in held(model) if path.partition(".")[0] not in SHAPES):
        line = attempt.line(extra[0].partition(".")[0])
        yield Finding("extra", "", f"also {', '.join(extra)}", "kernel, bias and count alone", line)


def shapes(attempt: Attempt) -> Iterator[Finding]:
    """Each value has its shape, and the bias and the count start at zero."""
    model = build(attempt)
    for name, shape in SHAPES.items():
        if not hasattr(model, name):
            continue
        value, line = content(getattr(model, name)), attempt.line(name, "MultiParam")
        seen = np.shape(value)
        if seen != shape:
            kind = "transposed" if name == "kernel" and seen == shape[::-1] else "shape"
            expected = f"{list(shape)} for {IN} inputs and {OUT} outputs"
            yield Finding(kind, name, f"{name} has shape {list(seen)}", expected, line)
        elif name != "kernel" and np.any(value):
            yield Finding("value", name, f"{name} is {numbers(value)}", "zero", line)


def initialization(attempt: Attempt) -> Iterator[Finding]:
    """The kernel is drawn from the key, normal, with the scale that keeps the size of its inputs."""
    models = [build(attempt, INPUTS, OUTPUTS, seed) for seed in (0, 0, 1)]
    if all(home(getattr(model, "kernel", None)) in {"param", "variable", "array"} for model in models):
        first, again, other = (np.asarray(content(model.kernel)) for model in models)
        yield from drawn((first, again, other), attempt.line("kernel", "MultiParam"))


def forward(attempt: Attempt) -> Iterator[Finding]:
    """The forward pass computes the formula and leaves the state alone."""
    model = build(attempt)
    if any(home(getattr(model, name, None)) in {"object", "no-call"} for name in SHAPES):
        return
    shapes = {name: np.shape(content(getattr(model, name))) for name in SHAPES}
    put(model, "kernel", ramp(-1.0, 1.0, *shapes["kernel"]))
    put(model, "bias", ramp(-1.0, 2.0, *shapes["bias"]))
    put(model, "count", array_of(np.full(shapes["count"], 7, jnp.asarray(content(model.count)).dtype)))
    kept = {name: getattr(model, name) for name in SHAPES}
    before = {name: np.array(content(value)) for name, value in kept.items()}
    try:
        y = attempt.call("model(x)", model=model, x=array_of(X))
    except NotImplementedError as error:
        if not refused_in_place(error):
            raise
        yield Finding("in-place", "count", f"`+=` raised {error}", "no change", attempt.line("count", "__call__"))
        return
    for name in SHAPES:
        now, line = getattr(model, name), attempt.changing_line(name)
        if isinstance(kept[name], nnx.Variable) and now is not kept[name]:
            line = attempt.changing_line(name, replaces=True)
            seen = f"after a call, {describe(now)} stands in `{name}`"
            yield Finding("replaced", name, seen, "the Variable from before", line)
        elif not np.array_equal(content(now), before[name]):
            seen = f"a call turns {numbers(before[name])} into {numbers(content(now))}"
            yield Finding("changed", name, seen, f"{name} stays as it is", line)
    yield from _result(attempt, y, before)


def function(attempt: Attempt) -> Iterator[Finding]:
    """The function builds the module from the seed and returns its output."""
    attempt.function("multi_param_forward", "seed", "x", "features")
    x, line = ramp(-1.0, 1.0, IN), attempt.line("multi_param_forward")
    y = attempt.call("multi_param_forward(3.0, x, 3.0)", x=x)
    wanted, of_zero = (
        attempt.call(f"MultiParam({IN}, {OUT}, rngs=nnx.Rngs({seed}))(x)", nnx=nnx, x=x) for seed in (3, 0)
    )
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "multi_param_forward", describe(y), "an array", line)
    elif y.shape != (OUT,):
        yield Finding("result-shape", "multi_param_forward", spec(y), f"float32[{OUT}]", line)
    elif close(y, of_zero):
        seen = "seed 3 gives the output of seed 0"
        yield Finding("seed", "multi_param_forward", seen, "another output for each seed", line)
    elif not close(y, wanted):
        seen = f"{numbers(y)} for seed 3"
        yield Finding("result-value", "multi_param_forward", seen, f"{numbers(wanted)}, as the module gives", line)


STAGES = (names, roles, shapes, initialization, forward, function)


def _damage(finding: Finding, model: Any) -> str:
    """Say in one sentence what training does to a value with the wrong wrapper."""
    name = finding.about
    match finding.kind:
        case "param":
            integer = jnp.issubdtype(content(getattr(model, name)).dtype, jnp.integer)
            if integer and (said := integer_gradient(model, lambda model: 0.0)):
                return f"`nnx.grad` of this model raises TypeError: {said}"
            now = numbers(decayed(model, name))
            return f"One step of adamw(0.1, weight_decay=0.1) turned a {name} of 5 into {now}."
        case "variable" | "array":
            return f"In this model `nnx.state(model, nnx.Param)` finds {found_by(model, nnx.Param)}."
    return ""


def _result(attempt: Attempt, y: Any, known: dict[str, np.ndarray]) -> Iterator[Finding]:
    """Name the formula that the forward pass computes, if it is another one."""
    line = attempt.line("__call__")
    kernel = known["kernel"]
    bias = known["bias"]
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "forward", f"the forward pass returns {describe(y)}", "an array", line)
        return
    product = X @ (kernel if kernel.shape == (IN, OUT) else kernel.reshape(-1, IN).T)
    wanted = product + bias
    if close(y, wanted):
        return
    formulas = {"no-bias": product, "minus-bias": product - bias, "counted": wanted + known["count"]}
    words = {"no-bias": "x @ kernel", "minus-bias": "x @ kernel - bias", "counted": "x @ kernel + bias + count"}
    applied = {f"{name}(x @ kernel + bias)": activation(wanted) for name, activation in ACTIVATIONS.items()}
    if kind := formula_of(y, formulas, otherwise=""):
        yield Finding(kind, "forward", f"it computes {words[kind]}", "x @ kernel + bias", line)
    elif formula := formula_of(y, applied, otherwise=""):
        yield Finding("activation", "forward", f"it computes {formula}", "x @ kernel + bias", line)
    else:
        seen = f"{numbers(y)} where kernel, bias and x are known"
        yield Finding("formula", "forward", seen, f"{numbers(wanted)}, which is x @ kernel + bias", line)
