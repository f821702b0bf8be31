"""Checks of the exercise Scan: first the layers and the count are looked at, then what a call of known layers does."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding, told
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import difference, own_attributes, role
from nnx_state.practice.state import held
from nnx_state.practice.trials import tried
from nnx_state.practice.values import array_of, content, describe, near, numbers, ramp, raw, spec, unlike

DEPTH, WIDTH = 5, 2
X = np.linspace(-1.0, 2.0, 3 * WIDTH, dtype=np.float32).reshape(3, WIDTH) ** 2
AXES = ("vmap was requested", "inconsistent sizes", "axis spec", "out of bounds", "No axis found", "non-None")


def stacking(attempt: Attempt) -> Iterator[Finding]:
    """The layers are one module with stacked Params, the count is one number for all, and a call uses both."""
    attempt.module_class("Deep", "features", "depth", "rngs")
    kinds = {"requested": "keys", "Found data": "list"} | dict.fromkeys(AXES, "axes")
    deep = tried(attempt, _deep(seed=2), "layers", kinds, attempt.line("layers", "Deep"), nnx=nnx)
    yield from _layers(attempt, deep)
    faults = [*_count(attempt, deep)]
    yield from faults
    if extra := sorted(held(deep).keys() - {"layers.kernel", "layers.bias", "calls"}):
        yield Finding("extra", "", f"also {', '.join(extra)}", "layers and calls alone", attempt.line("Deep"))
    if not any(fault.kind != "value" for fault in faults):
        yield from _running(attempt, deep)


STAGES = (stacking,)


def _deep(seed: int) -> str:
    return f"Deep({WIDTH}, {DEPTH}, rngs=nnx.Rngs({seed}))"


def _layers(attempt: Attempt, deep: Any) -> Iterator[Finding]:
    """Yield what is wrong with the layers of a new module."""
    line = attempt.line("layers", "Deep")
    if not hasattr(deep, "layers"):
        seen = f"the module has {', '.join(own_attributes(deep))}"
        raise Stop(Finding("missing", "layers", seen, "`layers`", attempt.line("Deep")))
    if not isinstance(deep.layers, nnx.Linear):
        many = isinstance(deep.layers, (list, tuple, dict, nnx.List, nnx.Dict, nnx.Sequential))
        raise Stop(Finding("list" if many else "object", "layers", describe(deep.layers), "one nnx.Linear", line))
    for name, shape in (("kernel", (DEPTH, WIDTH, WIDTH)), ("bias", (DEPTH, WIDTH))):
        param = getattr(deep.layers, name)
        if param is None or param.shape != shape:
            kind = "bias" if param is None else "axis"
            raise Stop(Finding(kind, "layers", f"the {name} is {describe(param)}", f"{list(shape)}", line))
    if (different := unlike(deep.layers.kernel)) < DEPTH:
        measured = f"Of {DEPTH} layers {DEPTH - different} repeat another one, number by number."
        yield Finding("alike", "layers", f"different kernels: {different}", f"{DEPTH}", line, measured)
    elif np.array_equal(raw(deep.layers.kernel), raw(attempt.call(_deep(seed=3), nnx=nnx).layers.kernel)):
        yield Finding("seed", "layers", "seeds 2 and 3 give the same kernels", "others for each seed", line)


def _count(attempt: Attempt, deep: Any) -> Iterator[Finding]:
    """Yield what is wrong with the count of a new module."""
    misplaced = [*role(attempt, deep, "calls", nnx.Variable)]
    for finding in misplaced:
        yield replace(finding, measured=_gradient(deep) if finding.kind == "param" else "")
    if misplaced:
        return
    count, line = content(deep.calls), attempt.line("calls", "Deep")
    match difference(count, np.zeros((), np.int32)):
        case "shape" | "dtype" as kind:
            yield Finding(kind, "calls", f"calls is {spec(count)}", "int32[]", line)
        case "value":
            yield Finding("value", "calls", f"calls is {numbers(count)}", "0", line)


def _running(attempt: Attempt, deep: Any) -> Iterator[Finding]:
    """The forward pass applies the layers in turn, counts each, and is one program whatever the depth."""
    line = attempt.line("__call__", "Deep")
    x = array_of(X)
    calls = deep.calls
    deep.layers.bias.set_value(ramp(-1.0, 1.0, DEPTH, WIDTH))
    calls.set_value(jnp.zeros((), jnp.int32))
    kinds = {"tuple index": "axes", "requested": "axes", "In-place": "in-place"}
    y = tried(attempt, "deep(x)", "calls", kinds, deep=deep, x=x)
    if not isinstance(y, jax.Array):
        raise Stop(Finding("result-type", "forward", f"it returns {describe(y)}", "an array", line))
    if y.shape != X.shape:
        kind = "parallel" if y.shape == (DEPTH, *X.shape) else "result-shape"
        raise Stop(Finding(kind, "forward", f"it returns {spec(y)}", f"{list(X.shape)}", line))
    yield from _result(y, raw(deep.layers.kernel), raw(deep.layers.bias), line)
    if deep.calls is not calls:
        line = attempt.changing_line("calls", replaces=True)
        raise Stop(Finding("replaced", "calls", f"then `calls` is {describe(deep.calls)}", "the Variable", line))
    now = content(deep.calls)
    if difference(now, np.array(DEPTH, np.int32)):
        once = np.size(now) == 1 and now == 1
        kind = "unchanged" if not np.any(now) else "once" if once else "result"
        seen = f"after a call of {DEPTH} layers calls is {numbers(now)}"
        yield Finding(kind, "calls", seen, f"{DEPTH}", line)
    yield from _compiled(attempt, deep, y, now)


def _result(y: jax.Array, kernels: np.ndarray, biases: np.ndarray, line: int | None) -> Iterator[Finding]:
    """Name what the forward pass computes, if it is another thing than the layers in turn."""
    wanted = _applied(kernels, biases)
    if not near(y, wanted):
        formulas = {
            "no-activation": _applied(kernels, biases, np.asarray),
            "activation": _applied(kernels, biases, lambda x: np.maximum(x, 0)),
            "order": _applied(kernels[::-1], biases[::-1]),
            "one-layer": _applied(kernels[:1], biases[:1]),
            "last-layer": _applied(kernels[-1:], biases[-1:]),
        }
        kind = formula_of(y, formulas, same=near)
        yield Finding(kind, "forward", f"{numbers(y)} from {DEPTH} known layers", numbers(wanted), line)


def _compiled(attempt: Attempt, deep: Any, y: jax.Array, count: Any) -> Iterator[Finding]:
    """Call the module compiled, after a call that gave `y` and left the count at `count`; look at its program."""
    line, x = attempt.line("__call__", "Deep"), array_of(X)
    what = "nnx.jit(lambda deep, x: deep(x))(deep, x)"
    again = tried(attempt, what, "Deep", {"": "jit"}, deep=deep, x=x, nnx=nnx)
    twice = content(deep.calls)
    if not near(again, y) or not np.array_equal(twice, 2 * np.asarray(count)):
        seen = f"`{what}` gives {numbers(again)}, and calls goes from {count} to {twice}"
        yield Finding("jit", "Deep", seen, f"{numbers(y)}, and {2 * count}", line)
    what = "jax.make_jaxpr(lambda deep, x: deep(x))(deep, x)"
    products = str(attempt.call(what, deep=deep, x=x, jax=jax)).count("dot_general")
    if products > 1:
        measured = f"The program for {DEPTH} layers has {products} products; a scan has one, whatever the depth."
        yield Finding("loop", "forward", f"a layer is traced {products} times", "once", line, measured)


def _gradient(deep: Any) -> str:
    """Say how NNX refuses the gradient of a module whose count is a Param, if it does."""
    x = array_of(X)
    try:
        nnx.grad(lambda deep: deep(x).sum())(deep)
    except Exception as error:
        return f"`nnx.grad` of this model raises {told(error, most=500)}"
    return ""


def _applied(kernels: np.ndarray, biases: np.ndarray, activation: Any = np.tanh) -> Any:
    """Return what known layers make of `X`, one after the other."""
    x = X
    for kernel, bias in zip(kernels, biases, strict=True):
        x = activation(x @ kernel + bias)
    return x
