"""Checks of the exercise Param and Variable."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state._paths import leaves
from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, close, content, describe, home, numbers, put, role, spec

IN, OUT = 5, 3
ATTRIBUTES = ("kernel", "bias", "count")


def build(attempt: Attempt, in_features: int = IN, out_features: int = OUT, seed: int = 0) -> Any:
    """Return a module of the attempt."""
    what = f"MultiParam({in_features}, {out_features}, rngs=nnx.Rngs({seed}))"
    return attempt.call(what, nnx=nnx)


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    attempt.module_class("MultiParam")
    attempt.function("multi_param_forward", "seed", "x", "features")
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """Each value has the wrapper that its role needs."""
    model = build(attempt)
    for name in ("kernel", "bias"):
        for finding in role(attempt, model, name, nnx.Param):
            yield _with_damage(finding, model)
    for finding in role(attempt, model, "count", nnx.Variable):
        yield _with_damage(finding, model)
    paths = {path for path, _ in leaves(model)}
    if extra := sorted(path for path in paths if path.partition(".")[0] not in ATTRIBUTES):
        line = attempt.line(extra[0].partition(".")[0])
        yield Finding("extra", seen=f"also {', '.join(extra)}", expected="kernel, bias and count alone", line=line)


def shapes(attempt: Attempt) -> Iterator[Finding]:
    """Each value has its shape, and the bias and the count start at zero."""
    model = build(attempt)
    for name, shape in (("kernel", (IN, OUT)), ("bias", (OUT,)), ("count", ())):
        seen = np.shape(content(getattr(model, name, np.zeros(shape))))
        if seen != shape:
            kind = "transposed" if name == "kernel" and seen == shape[::-1] else "shape"
            sizes = f"{list(shape)} for {IN} inputs and {OUT} outputs"
            yield Finding(kind, name, f"{name} has shape {list(seen)}", sizes, attempt.line(name, "MultiParam"))
        elif name != "kernel" and hasattr(model, name) and np.any(value := content(getattr(model, name))):
            yield Finding("value", name, f"{name} is {numbers(value)}", "zero", attempt.line(name, "MultiParam"))


def initialization(attempt: Attempt) -> Iterator[Finding]:
    """The kernel is drawn from the key, normal, with the scale that keeps the size of its inputs."""
    inputs, outputs = 256, 64
    first, again, other = (content(build(attempt, inputs, outputs, seed).kernel) for seed in (0, 0, 1))
    line = attempt.line("kernel", "MultiParam")
    deviation = float(jnp.std(first))
    if deviation < 1e-6:
        yield Finding("constant", "kernel", f"every number is {first[0, 0]:.4g}", "random numbers", line)
    elif not (first == again).all():
        yield Finding("unseeded", "kernel", "seed 0 gives two kernels", "the same kernel each time", line)
    elif (first == other).all():
        yield Finding("same-key", "kernel", "seeds 0 and 1 give one kernel", "another kernel for each seed", line)
    else:
        wanted = 1 / math.sqrt(inputs)
        if abs(float(first.mean())) > 0.1 * deviation:
            yield Finding("off-center", "kernel", f"its mean is {first.mean():.3g}", "a mean near 0", line)
        elif not 0.95 < deviation / wanted < 1.05:
            size = deviation * math.sqrt(inputs)
            measured = f"Inputs of size 1 give outputs of size {size:.3g}, and ten such layers {size**10:.1e}."
            seen = (
                f"a standard deviation of {deviation:.3g} for {inputs} inputs{_looks_like(deviation, inputs, outputs)}"
            )
            yield Finding("scale", "kernel", seen, f"{wanted:.3g}, which is 1 / sqrt({inputs})", line, measured)
        elif float(((first / deviation) ** 4).mean()) < 2.1:  # normal 3, truncated at two deviations 2.4, uniform 1.8
            yield Finding("uniform", "kernel", f"no number beyond {jnp.abs(first).max():.3g}", "normal numbers", line)


def forward(attempt: Attempt) -> Iterator[Finding]:
    """The forward pass computes the formula and leaves the state alone."""
    model = build(attempt)
    if any(home(getattr(model, name, None)) in {"object", "no-call"} for name in ATTRIBUTES):
        return
    kernel = jnp.linspace(-1.0, 1.0, IN * OUT).reshape(np.shape(content(model.kernel)))
    put(model, "kernel", kernel)
    put(model, "bias", jnp.linspace(-1.0, 2.0, OUT).reshape(np.shape(content(model.bias))))
    put(model, "count", jnp.full(np.shape(content(model.count)), 7, jnp.asarray(content(model.count)).dtype))
    before = {name: (getattr(model, name), jnp.array(content(getattr(model, name)))) for name in ATTRIBUTES}
    x = jnp.array([-1.0, 2.0, 0.5, -2.0, 0.25])
    try:
        y = attempt.call("model(x)", model=model, x=x)
    except NotImplementedError as error:
        if "In-place" not in str(error):
            raise
        yield Finding("in-place", "count", f"`+=` raised {error}", "no change", attempt.line("count", "__call__"))
        return
    for name, (kept, value) in before.items():
        now, line = getattr(model, name), attempt.line(name, "__call__")
        if isinstance(kept, nnx.Variable) and now is not kept:
            seen = f"after a call, {describe(now)} stands in `{name}`"
            yield Finding("replaced", name, seen, "the Variable from before", line)
        elif not (content(now) == value).all():
            change = f"a call turns {numbers(value)} into {numbers(content(now))}"
            yield Finding("changed", name, change, f"{name} stays as it is", line)
    yield from _formula(attempt, y, x, *(value for _, value in before.values()))


def function(attempt: Attempt) -> Iterator[Finding]:
    """The function builds the module from the seed and returns its output."""
    x = jnp.linspace(-1.0, 1.0, IN)
    y = attempt.call("multi_param_forward(3.0, x, 3.0)", x=x)
    line = attempt.line("multi_param_forward")
    wanted = attempt.call(f"MultiParam({IN}, {OUT}, rngs=nnx.Rngs(3))(x)", nnx=nnx, x=x)
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "multi_param_forward", describe(y), "an array", line)
    elif y.shape != (OUT,):
        yield Finding("result-shape", "multi_param_forward", spec(y), f"float32[{OUT}]", line)
    elif close(y, attempt.call(f"MultiParam({IN}, {OUT}, rngs=nnx.Rngs(0))(x)", nnx=nnx, x=x)):
        seen = "seed 3 gives the output of seed 0"
        yield Finding("seed", "multi_param_forward", seen, "another output for each seed", line)
    elif not close(y, wanted):
        seen = f"{numbers(y)} for seed 3"
        yield Finding("result-value", "multi_param_forward", seen, f"{numbers(wanted)}, as the module gives", line)


STAGES = (names, roles, shapes, initialization, forward, function)


def _with_damage(finding: Finding, model: Any) -> Finding:
    """Add what training does to a value with the wrong wrapper."""
    import optax

    if finding.kind not in {"param", "variable", "array"}:
        return finding
    name, was = finding.about, content(getattr(model, finding.about))
    if finding.kind == "param" and jnp.issubdtype(was.dtype, jnp.integer):
        try:
            nnx.grad(lambda model: 0.0)(model)
        except TypeError as error:
            said = str(error).strip().splitlines()[0]
            return _measured(finding, f"`nnx.grad` of this model raises TypeError: {said}")
    if finding.kind == "param":
        put(model, name, jnp.full_like(was, 5.0))
        optimizer = nnx.Optimizer(model, optax.adamw(0.1, weight_decay=0.1), wrt=nnx.Param)
        optimizer.update(model, jax.tree.map(jnp.zeros_like, nnx.state(model, nnx.Param)))
        now = numbers(content(getattr(model, name)))
        return _measured(finding, f"One step of adamw(0.1, weight_decay=0.1) turned a {name} of 5 into {now}.")
    found = sorted(map(str, nnx.state(model, nnx.Param)))
    return _measured(finding, f"In this model `nnx.state(model, nnx.Param)` finds {', '.join(found) or 'nothing'}.")


def _measured(finding: Finding, sentence: str) -> Finding:
    return Finding(finding.kind, finding.about, finding.seen, finding.expected, finding.line, sentence)


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


def _formula(
    attempt: Attempt, y: object, x: jax.Array, kernel: jax.Array, bias: jax.Array, count: jax.Array
) -> Iterator[Finding]:
    """Name the formula that the forward pass computes, if it is another one."""
    line = attempt.line("__call__")
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "forward", f"the forward pass returns {describe(y)}", "an array", line)
        return
    product = x @ (kernel if kernel.shape == (IN, OUT) else kernel.reshape(-1, IN).T)
    if close(y, product + bias):
        return
    formulas = {
        "no-bias": ("x @ kernel", product),
        "minus-bias": ("x @ kernel - bias", product - bias),
        "counted": ("x @ kernel + bias + count", product + bias + count),
    }
    for kind, (formula, value) in formulas.items():
        if close(y, value):
            yield Finding(kind, "forward", f"it computes {formula}", "x @ kernel + bias", line)
            return
    activations = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "gelu": jax.nn.gelu}
    for name, function in {**activations, "silu": jax.nn.silu, "softmax": jax.nn.softmax}.items():
        if close(y, function(product + bias)):
            seen = f"it computes {name}(x @ kernel + bias)"
            yield Finding("activation", "forward", seen, "x @ kernel + bias", line)
            return
    seen = f"{numbers(y)} where kernel, bias and x are known"
    yield Finding("formula", "forward", seen, f"{numbers(product + bias)}, which is x @ kernel + bias", line)
