"""Checks of the exercise Linear.

First the kernel: its wrapper, its shape, the key that it takes, and its numbers. Then the forward pass, with a kernel
whose numbers are known, and last the function that builds the layer. A kernel that is no array, with a wrapper or
without, is told of once: what would look into it is passed over.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state.practice.damage import shown
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import ACTIVATIONS, formula_of
from nnx_state.practice.kernels import INPUTS, OUTPUTS, drawn
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import role
from nnx_state.practice.state import found_by, held
from nnx_state.practice.values import array_of, close, content, describe, home, is_array, numbers, put, ramp, spec

IN, OUT = 5, 3
X = np.array([-1.0, 2.0, 0.5, -2.0, 0.25], np.float32)


def build(attempt: Attempt, in_features: int = IN, out_features: int = OUT, seed: int = 0) -> Any:
    """Return a layer of the attempt."""
    return attempt.call(f"Linear({in_features}, {out_features}, rngs=nnx.Rngs({seed}))", nnx=nnx)


def names(attempt: Attempt) -> Iterator[Finding]:
    """The layer is there; the function, which uses it, is looked for last."""
    layer = attempt.module_class("Linear", "in_features", "out_features", "rngs")
    if issubclass(layer, nnx.Linear):
        line = attempt.line("Linear")
        raise Stop(Finding("ready-made", "Linear", "it is or inherits nnx.Linear", "a layer of your own", line))
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """The kernel is a Param, and nothing else is in the state."""
    layer = build(attempt)
    for finding in role(attempt, layer, "kernel", nnx.Param):
        untrained = finding.kind in {"array", "variable"}
        yield replace(finding, measured=shown(_training, layer) if untrained else "")
    paths = sorted(held(layer))
    if extra := [path for path in paths if path.partition(".")[0] != "kernel"]:
        line = attempt.line(extra[0].partition(".")[0], "Linear")
        trained = found_by(layer, nnx.Param)
        measured = f"`nnx.state(layer)` has {', '.join(paths)}; the filter `nnx.Param` finds {trained}."
        yield Finding("extra", "", f"also {', '.join(extra)}", "the kernel alone", line, measured)


def shapes(attempt: Attempt) -> Iterator[Finding]:
    """The kernel has one row for each input, one column for each output, and float32 numbers."""
    layer = build(attempt)
    if not _has_kernel(layer):
        return
    kernel, line = content(layer.kernel), attempt.line("kernel", "Linear")
    if not is_array(kernel):
        raise Stop(Finding("number-inside", "kernel", describe(layer.kernel), f"a Param of float32{[IN, OUT]}", line))
    if kernel.dtype != jnp.float32:
        yield Finding("dtype", "kernel", f"it is {spec(kernel)}", f"float32{[IN, OUT]}", line)
    if kernel.shape != (IN, OUT):
        seen = f"it has shape {list(kernel.shape)}"
        expected = f"{[IN, OUT]} for {IN} inputs and {OUT} outputs"
        if kernel.shape != (OUT, IN):
            raise Stop(Finding("shape", "kernel", seen, expected, line))
        yield Finding("transposed", "kernel", seen, expected, line)


def keys(attempt: Attempt) -> Iterator[Finding]:
    """The layer takes one key, from the stream `params`."""
    line = attempt.line("kernel", "Linear")
    rngs, wanted = nnx.Rngs(0), nnx.Rngs(0)
    attempt.call(f"Linear({IN}, {OUT}, rngs=rngs)", rngs=rngs)
    if (taken := int(rngs.default.count[...])) > 1:
        wanted.params()
        draws = [numbers(jax.random.normal(stream.params())) for stream in (rngs, wanted)]
        measured = f"The next layer would draw {draws[0]} in the place of {draws[1]}."
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
    layers = [build(attempt, INPUTS, OUTPUTS, seed) for seed in (0, 0, 1)]
    if all(_has_kernel(layer) for layer in layers):
        first, again, other = (np.asarray(content(layer.kernel)) for layer in layers)
        yield from drawn((first, again, other), attempt.line("kernel", "Linear"))


def forward(attempt: Attempt) -> Iterator[Finding]:
    """The forward pass is the matrix product, and leaves the kernel alone."""
    layer = build(attempt)
    if not _has_kernel(layer):
        return
    known = ramp(-1.0, 1.0, *np.shape(content(layer.kernel)))
    put(layer, "kernel", known)
    kept = layer.kernel
    y = attempt.call("layer(x)", layer=layer, x=array_of(X))
    line = attempt.changing_line("kernel")
    if layer.kernel is not kept:
        line = attempt.changing_line("kernel", replaces=True)
        yield Finding("replaced", "kernel", f"after a call, {describe(layer.kernel)}", "the Param from before", line)
    elif not close(content(kept), known):
        seen = f"a call turns {numbers(known)} into {numbers(content(kept))}"
        yield Finding("changed", "kernel", seen, "the kernel stays as it is", line)
    else:
        kernel = np.asarray(known)
        yield from _result(attempt, y, kernel if kernel.shape == (IN, OUT) else kernel.reshape(-1, IN).T)


def function(attempt: Attempt) -> Iterator[Finding]:
    """The function builds the layer from the seed and returns its output."""
    attempt.function("linear_forward", "seed", "x", "features")
    x, line = ramp(-1.0, 1.0, IN), attempt.line("linear_forward")
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


def _training(layer: Any) -> str:
    """Train the layer to an output of 1, and say how far it came."""
    x = jnp.ones(IN)
    loss = nnx.value_and_grad(lambda layer: ((layer(x) - 1.0) ** 2).mean())
    optimizer = nnx.Optimizer(layer, optax.sgd(0.1), wrt=nnx.Param)
    losses = []
    for _ in range(20):
        now, grads = loss(layer)
        losses.append(now)
        optimizer.update(layer, grads)
    return f"Twenty steps of sgd(0.1) towards an output of 1: the loss went from {losses[0]:.3g} to {losses[-1]:.3g}."


def _result(attempt: Attempt, y: Any, kernel: np.ndarray) -> Iterator[Finding]:
    """Name what the forward pass computes, if it is another thing than the product with the kernel."""
    line, product = attempt.line("__call__"), X @ kernel
    if not isinstance(y, jax.Array):
        raise Stop(Finding("result-type", "forward", f"the forward pass returns {describe(y)}", "an array", line))
    if close(y, product):
        return
    activated = tuple(activation(product) for activation in ACTIVATIONS.values())
    match formula_of(y, {"scaled": product / math.sqrt(IN), "activation": activated}):
        case "scaled":
            yield Finding("scaled", "forward", f"it computes x @ kernel / sqrt({IN})", "x @ kernel", line)
        case "activation":
            seen = f"{numbers(y)}, an activation of x @ kernel"
            yield Finding("activation", "forward", seen, "x @ kernel", line)
        case other:
            seen = f"{numbers(y)} where the kernel is known"
            yield Finding(other, "forward", seen, f"{numbers(product)}, which is x @ kernel", line)
