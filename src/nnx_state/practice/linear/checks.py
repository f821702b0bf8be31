"""Checks of the exercise Linear."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state._paths import leaves
from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, close, content, describe, home, numbers, put, role, spec

IN, OUT = 5, 3


def build(attempt: Attempt, in_features: int = IN, out_features: int = OUT, seed: int = 0) -> Any:
    """Return a layer of the attempt."""
    return attempt.call(f"Linear({in_features}, {out_features}, rngs=nnx.Rngs({seed}))", nnx=nnx)


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    layer = attempt.module_class("Linear")
    if issubclass(layer, nnx.Linear):
        line = attempt.line("Linear")
        raise Stop(Finding("ready-made", "Linear", "it is or inherits nnx.Linear", "a layer of your own", line))
    attempt.function("linear_forward", "seed", "x", "features")
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """The kernel is a Param, and nothing else is in the state."""
    layer = build(attempt)
    for finding in role(attempt, layer, "kernel", nnx.Param):
        measured = ""
        if finding.kind in {"array", "variable"}:
            with contextlib.suppress(Exception):
                measured = _untrained(layer)
        yield replace(finding, measured=measured)
    paths = {path for path, _ in leaves(layer)}
    if extra := sorted(path for path in paths if path.partition(".")[0] != "kernel"):
        line = attempt.line(extra[0].partition(".")[0], "Linear")
        trained = ", ".join(sorted(map(str, nnx.state(layer, nnx.Param)))) or "nothing"
        measured = f"`nnx.state(layer)` has {', '.join(sorted(paths))}; the filter `nnx.Param` finds {trained}."
        yield Finding("extra", "", f"also {', '.join(extra)}", "the kernel alone", line, measured)


def shapes(attempt: Attempt) -> Iterator[Finding]:
    """The kernel has one row for each input, one column for each output, and float32 numbers."""
    layer = build(attempt)
    if not _has_kernel(layer):
        return
    line = attempt.line("kernel", "Linear")
    held = layer.kernel.get_raw_value() if isinstance(layer.kernel, nnx.Variable) else layer.kernel
    if not isinstance(held, (jax.Array, np.ndarray)):
        raise Stop(Finding("number-inside", "kernel", describe(layer.kernel), f"a Param of float32{[IN, OUT]}", line))
    seen = held.shape
    if held.dtype != jnp.float32:
        yield Finding("dtype", "kernel", f"it is {spec(held)}", f"float32{[IN, OUT]}", line)
    if seen != (IN, OUT):
        kind = "transposed" if seen == (OUT, IN) else "shape"
        wanted = f"{[IN, OUT]} for {IN} inputs and {OUT} outputs"
        finding = Finding(kind, "kernel", f"it has shape {list(seen)}", wanted, line)
        if kind == "shape":
            raise Stop(finding)
        yield finding


def keys(attempt: Attempt) -> Iterator[Finding]:
    """The layer takes one key, from the stream `params`."""
    line = attempt.line("kernel", "Linear")
    rngs = nnx.Rngs(0)
    attempt.call(f"Linear({IN}, {OUT}, rngs=rngs)", rngs=rngs)
    if (taken := int(rngs.default.count[...])) > 1:
        one = nnx.Rngs(0)
        one.params()
        wanted, draw = (jax.random.normal(keys.params()) for keys in (one, rngs))
        measured = f"The next layer would draw {numbers(draw)} in the place of {numbers(wanted)}."
        yield Finding("more-keys", "kernel", f"one layer takes {taken} keys", "1 key", line, measured)
    try:
        attempt.call(f"Linear({IN}, {OUT}, rngs=nnx.Rngs(params=0))", nnx=nnx)
    except AttributeError as error:
        if "RngStream" not in str(error):
            raise
        seen = f"with `nnx.Rngs(params=0)`: {error}"
        yield Finding("stream", "kernel", seen, "the key `rngs.params()`", line)


def initialization(attempt: Attempt) -> Iterator[Finding]:
    """The kernel depends on the seed, is normal, and has the scale that keeps the size of its inputs."""
    inputs, outputs = 256, 64
    layers = [build(attempt, inputs, outputs, seed) for seed in (0, 0, 1)]
    if not all(_has_kernel(layer) for layer in layers):
        return
    first, again, other = (content(layer.kernel) for layer in layers)
    line = attempt.line("kernel", "Linear")
    deviation, wanted = float(jnp.std(first)), 1 / math.sqrt(inputs)
    if deviation < 1e-6:
        yield Finding("constant", "kernel", f"every number is {numbers(first.ravel()[0])}", "random numbers", line)
    elif not (first == again).all():
        yield Finding("unseeded", "kernel", "seed 0 gives two kernels", "the same kernel each time", line)
    elif (first == other).all():
        yield Finding("same-key", "kernel", "seeds 0 and 1 give one kernel", "another kernel for each seed", line)
    elif abs(float(first.mean())) > 0.1 * deviation:
        yield Finding("off-center", "kernel", f"its mean is {first.mean():.3g}", "a mean near 0", line)
    elif not 0.95 < deviation / wanted < 1.05:
        size = deviation * math.sqrt(inputs)
        measured = f"For inputs of size 1 the outputs have size {size:.3g}: ten such layers multiply by {size**10:.1e}."
        rule = _looks_like(deviation, inputs, outputs)
        seen = f"a standard deviation of {deviation:.3g} for {inputs} inputs{rule}"
        yield Finding("scale", "kernel", seen, f"{wanted:.3g}, which is 1 / sqrt({inputs})", line, measured)
    elif float(((first / deviation) ** 4).mean()) < 2.1:  # normal 3, truncated at two deviations 2.4, uniform 1.8
        yield Finding("uniform", "kernel", f"no number beyond {jnp.abs(first).max():.3g}", "normal numbers", line)


def forward(attempt: Attempt) -> Iterator[Finding]:
    """The forward pass is the matrix product, and leaves the kernel alone."""
    layer = build(attempt)
    if not _has_kernel(layer):
        return
    put(layer, "kernel", jnp.linspace(-1.0, 1.0, IN * OUT).reshape(np.shape(content(layer.kernel))))
    kept, x = layer.kernel, jnp.array([-1.0, 2.0, 0.5, -2.0, 0.25])
    kernel = jnp.array(content(kept))
    y = attempt.call("layer(x)", layer=layer, x=x)
    line = attempt.line("kernel", "__call__") or attempt.line("__call__")
    if layer.kernel is not kept:
        yield Finding("replaced", "kernel", f"after a call, {describe(layer.kernel)}", "the Param from before", line)
    elif not close(content(kept), kernel):
        change = f"a call turns {numbers(kernel)} into {numbers(content(kept))}"
        yield Finding("changed", "kernel", change, "the kernel stays as it is", line)
    else:
        yield from _formula(attempt, y, x, kernel if kernel.shape == (IN, OUT) else kernel.reshape(-1, IN).T)


def function(attempt: Attempt) -> Iterator[Finding]:
    """The function builds the layer from the seed and returns its output."""
    x, line = jnp.linspace(-1.0, 1.0, IN), attempt.line("linear_forward")
    if not _has_kernel(build(attempt)):
        return
    try:
        y = attempt.call("linear_forward(3.0, x, 3.0)", x=x)
    except Exception as error:
        if not _takes_integers(attempt, x):
            raise
        seen = f"`linear_forward(3.0, x, 3.0)` raised {type(error).__name__}, with 3 it does not"
        yield Finding("float", "linear_forward", seen, "both are converted", line)
        return
    wanted, again, of_zero = (build(attempt, seed=seed)(x) for seed in (3, 3, 0))
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "linear_forward", describe(y), "an array", line)
    elif y.shape != (OUT,):
        yield Finding("result-shape", "linear_forward", spec(y), f"float32[{OUT}]", line)
    elif not close(wanted, again):  # no seed gives a layer that could be compared
        return
    elif close(y, of_zero) and not close(wanted, of_zero):
        seen = "seed 3 gives the output of seed 0"
        yield Finding("seed", "linear_forward", seen, "another output for each seed", line)
    elif not close(y, wanted):
        seen = f"{numbers(y)} for seed 3"
        yield Finding("result-value", "linear_forward", seen, f"{numbers(wanted)}, as the layer gives", line)


STAGES = (names, roles, shapes, keys, initialization, forward, function)


def _has_kernel(layer: Any) -> bool:
    return home(getattr(layer, "kernel", None)) in {"param", "variable", "array"}


def _takes_integers(attempt: Attempt, x: jax.Array) -> bool:
    try:
        attempt.module.linear_forward(3, x, 3)
    except Exception:
        return False
    return True


def _untrained(layer: Any) -> str:
    """Train the layer to an output of 1, and say how far the kernel came."""
    import optax

    x = jnp.ones(IN)
    loss = nnx.value_and_grad(lambda layer: ((layer(x) - 1.0) ** 2).mean())
    optimizer = nnx.Optimizer(layer, optax.sgd(0.1), wrt=nnx.Param)
    first, last = 0.0, 0.0
    for step in range(20):
        last, grads = loss(layer)
        first = first if step else last
        optimizer.update(layer, grads)
    return f"Twenty steps of sgd(0.1) towards an output of 1: the loss went from {first:.3g} to {last:.3g}."


def _looks_like(deviation: float, inputs: int, outputs: int) -> str:
    """Name the rule that gives a standard deviation, if one of the usual ones does."""
    rules = {
        "no scale at all": 1.0,
        "1 / in_features": 1 / inputs,
        "sqrt(in_features)": math.sqrt(inputs),
        "1 / sqrt(out_features)": 1 / math.sqrt(outputs),
        "He's sqrt(2 / in_features)": math.sqrt(2 / inputs),
        "Glorot's sqrt(2 / (in_features + out_features))": math.sqrt(2 / (inputs + outputs)),
        "a fixed 0.01": 0.01,
        "a fixed 0.02": 0.02,
    }
    near = [rule for rule, value in rules.items() if abs(deviation / value - 1) < 0.04]
    return f": it looks like {near[0]}" if near else ""


def _formula(attempt: Attempt, y: Any, x: jax.Array, kernel: jax.Array) -> Iterator[Finding]:
    """Name the formula that the forward pass computes, if it is another one."""
    line, product = attempt.line("__call__"), x @ kernel
    activations = (jax.nn.relu, jnp.tanh, jax.nn.sigmoid, jax.nn.gelu, jax.nn.silu, jax.nn.softmax)
    if not isinstance(y, jax.Array):
        raise Stop(Finding("result-type", "forward", f"the forward pass returns {describe(y)}", "an array", line))
    if close(y, product / math.sqrt(IN)):
        yield Finding("scaled", "forward", f"it computes x @ kernel / sqrt({IN})", "x @ kernel", line)
    elif any(close(y, activation(product)) for activation in activations):
        seen = f"{numbers(y)}, an activation of x @ kernel"
        yield Finding("activation", "forward", seen, "x @ kernel", line)
    elif not close(y, product):
        seen = f"{numbers(y)} where the kernel is known"
        yield Finding("formula", "forward", seen, f"{numbers(product)}, which is x @ kernel", line)
