"""Checks of the exercise Precision.

First what each value of `HalfLinear` is kept in; then one call whose numbers tell apart the dtypes in which it may have
been computed, and the average that the call leaves. Last, whatever is wrong with the layer, a cast of a model that
holds numbers of every kind. The numbers are such that rounding them to bfloat16 takes away all that a sum leaves.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import first_that_holds, formula_of
from nnx_state.practice.kernels import seeded
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import role
from nnx_state.practice.stages import needs, part
from nnx_state.practice.values import article, close, content, describe, home, listed, numbers, put

SMALL = 2.0**-9  # a bfloat16 has no number between 1 and 1 + 2 * SMALL that is not one of the two
X = np.array([[1 + SMALL, 1.0, 3.0], [3.0, 3.0, 300.0]], np.float32)
KERNEL = np.array([[128.0, 2.0], [-128.0, 2.0], [1.0, 1 + SMALL]], np.float32)
BIAS = np.array([4.0, -2 - 2 * SMALL], np.float32)
MEAN = np.array([0.5, -0.25], np.float32)


def names(attempt: Attempt) -> Iterator[Finding]:
    """The layer is there."""
    attempt.module_class("HalfLinear", "inputs", "outputs", "rngs")
    yield from ()


def roles(attempt: Attempt) -> Iterator[Finding]:
    """Kernel and bias are Params, the mean is none, and all three are float32 of the shapes that are asked for."""
    layer = build(attempt)
    for name, shape in {"kernel": (3, 2), "bias": (2,), "mean": (2,)}.items():
        line = attempt.line(name, "HalfLinear")
        if name != "mean" or not hasattr(layer, name):
            yield from role(attempt, layer, name, nnx.Param if name != "mean" else nnx.Variable)
        elif (kind := home(layer.mean)) != "variable":
            yield Finding(kind, name, f"{describe(layer.mean)} in `mean`", "a Variable that is no Param", line)
        if attempt.found[roles]:
            return
        value = content(getattr(layer, name))
        if np.shape(value) != shape:
            raise Stop(Finding("shape", name, f"{name} has shape {list(np.shape(value))}", str(list(shape)), line))
        if value.dtype != jnp.float32:
            raise Stop(Finding("dtype", name, f"{name} is {article(str(value.dtype))}", "float32", line))
        if name != "kernel" and np.any(value):
            yield Finding("value", name, f"{name} starts as {numbers(value)}", "zeros", line)
    first, again, other = (np.asarray(content(build(attempt, 8, 4, seed).kernel)) for seed in (0, 0, 1))
    yield from seeded((first, again, other), attempt.line("kernel", "HalfLinear"))


@needs(names, roles)
def forward(attempt: Attempt) -> Iterator[Finding]:
    """The result is a bfloat16, computed from bfloat16, and what is kept is not touched."""
    line = attempt.line("__call__", "HalfLinear")
    for x in (jnp.array(X), jnp.array(X, jnp.bfloat16)):
        layer = filled(attempt)
        y = attempt.call("layer(x)", layer=layer, x=x)
        for name in ("kernel", "bias", "mean"):
            value = content(getattr(layer, name))
            if np.shape(value) != np.shape(content(getattr(build(attempt), name))) or value.dtype != jnp.float32:
                raise Stop(Finding("changed", name, f"after a call `{name}` is {describe(value)}", "float32", line))
        if not isinstance(y, jax.Array) or y.dtype != jnp.bfloat16:
            raise Stop(Finding("dtype", "forward", f"of {x.dtype} it returns {describe(y)}", "bfloat16", line))
        known = {
            "in-float32": rounded(np.asarray(x, np.float32) @ KERNEL + BIAS),
            "kernel-in-float32": rounded(rounded(X) @ KERNEL + rounded(BIAS)),
            "no-bias": rounded(rounded(X) @ rounded(KERNEL)),
        }
        if not close(np.float32(y), RESULT):
            kind = formula_of(np.float32(y), known)
            seen = f"`layer(x)` of {x.dtype} is {numbers(np.float32(y))}"
            raise Stop(Finding(kind, "forward", seen, f"{numbers(RESULT)}, computed in bfloat16", line))
    yield from ()


@needs(names, roles, forward)
def average(attempt: Attempt) -> Iterator[Finding]:
    """The average moves by a thousandth of what float32 shows, also from where a bfloat16 would stand still."""
    layer, line = filled(attempt), attempt.changing_line("mean")
    attempt.call("layer(x)", layer=layer, x=jnp.array(X))
    seen = np.asarray(content(layer.mean))
    m = RESULT.mean(axis=0)
    wanted = step(MEAN, m)
    if np.allclose(seen, wanted, rtol=2e-7, atol=0):
        return
    of_each = rounded(RESULT[:1] * 0.5 + RESULT[1:] * 0.5)[0]
    known = {
        "not-updated": MEAN,
        "swapped": 0.001 * MEAN + 0.999 * m,
        "no-decay": MEAN + 0.001 * m,
        "only-new": m,
        "rounded": (
            rounded(step(MEAN, m)),
            rounded(step(MEAN, of_each)),
            rounded(rounded(0.999 * MEAN) + rounded(0.001 * m)),
        ),
        "result-rounded": (step(MEAN, of_each), step(MEAN, rounded(m))),
    }
    kind = formula_of(seen, known, same=lambda one, other: np.allclose(one, other, rtol=2e-7, atol=0))
    measured = (
        f"From {numbers(MEAN)} one call went {numbers(seen - MEAN)}, where {numbers(wanted - MEAN)} was asked for."
    )
    yield Finding(kind, "mean", f"after one call `mean` is {precise(seen)}", precise(wanted), line, measured)


def casts(attempt: Attempt) -> Iterator[Finding]:
    """Each floating Param has the dtype and is the Variable from before; all else is as it was."""
    attempt.function("cast", "model", "dtype")
    line = attempt.line("cast")
    for dtype in (jnp.bfloat16, jnp.float16):
        model = Model()
        kept = {path: (leaf, content(leaf)) for path, leaf in nnx.to_flat_state(nnx.state(model))}
        attempt.call("cast(model, dtype)", model=model, dtype=dtype)
        now = dict(nnx.to_flat_state(nnx.state(model)))
        floats = [path for path in kept if path[-1] in FLOATS]
        if now.keys() != kept.keys() or any(type(now[path]) is not type(kept[path][0]) for path in kept):
            raise Stop(Finding("leaves", "cast", "the state has other leaves afterwards", "the same Variables", line))
        other = [
            path for path in kept if content(now[path]).dtype != (dtype if path in floats else kept[path][1].dtype)
        ]
        if other:
            cases = {
                "nothing": other == floats,
                "integers": any(path[-1] == "table" for path in other),
                "all-state": all(path[-1] in {"mean", "rate"} for path in other),
                "nested": all(len(path) > 1 for path in other),
                "top": all(len(path) == 1 for path in other),
            }
            path = other[0]
            seen = f"`{'.'.join(map(str, path))}` is {content(now[path]).dtype}"
            wanted = dtype if path in floats else kept[path][1].dtype
            raise Stop(Finding(first_that_holds(cases, "others"), "cast", seen, str(jnp.dtype(wanted)), line))
        if replaced := [path for path in kept if now[path] is not kept[path][0]]:
            seen = f"{listed('.'.join(map(str, path)) for path in replaced[:2])} hold other Variables"
            raise Stop(Finding("replaced", "cast", seen, "the Variables from before", line))
        for path in floats:
            if not close(np.float32(content(now[path])), np.float32(kept[path][1].astype(dtype))):
                raise Stop(
                    Finding("numbers", "cast", f"`{path[-1]}` holds other numbers", "the numbers, rounded", line)
                )
    yield from ()


STAGES = (*part(names, roles, forward, average), *part(casts))
FLOATS = {"kernel", "bias", "scale", "gain"}


class Model(nnx.Module):
    """Params of floats and of integers, at three depths and one of them shared, and state that is no Param."""

    def __init__(self) -> None:
        numbers = {"scale": jnp.array([1.5, -0.25]), "gain": jnp.array(2.5)}
        self.layers = nnx.List([nnx.Linear(2, 2, rngs=nnx.Rngs(0)), nnx.Dict(jax.tree.map(nnx.Param, numbers))])
        self.tied = self.layers[0]
        self.scale = nnx.Param(jnp.array(0.75))
        self.bias = nnx.Param(jnp.array([0.5, 1.5]))
        self.table = nnx.Param(jnp.arange(3))
        self.mean = nnx.BatchStat(jnp.array([0.1, 0.2]))
        self.rate = nnx.Variable(jnp.array(0.3))
        self.count = nnx.Variable(jnp.array(7))
        self.stream = nnx.Rngs(dropout=0)


def build(attempt: Attempt, inputs: int = 3, outputs: int = 2, seed: int = 0) -> Any:
    """Return a layer of the attempt."""
    return attempt.call(f"HalfLinear({inputs}, {outputs}, rngs=nnx.Rngs({seed}))", nnx=nnx)


def filled(attempt: Attempt) -> Any:
    """Return a layer of the attempt with known numbers."""
    layer = build(attempt)
    for name, value in {"kernel": KERNEL, "bias": BIAS, "mean": MEAN}.items():
        put(layer, name, jnp.array(value))
    return layer


def rounded(value: Any) -> np.ndarray:
    """Return numbers rounded to bfloat16, as float32."""
    return np.asarray(jnp.array(value, jnp.bfloat16), np.float32)


def step(mean: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Return the average after a call whose result has the average `m`, all in float32."""
    return np.float32(0.999) * mean + np.float32(0.001) * np.float32(m)


def precise(value: np.ndarray) -> str:
    """Return numbers with as many digits as a float32 has."""
    return f"[{', '.join(f'{number:.8g}' for number in value.tolist())}]"


# All numbers on the way are bfloat16 as they are: compiled code may leave out that it rounds them.
RESULT = rounded(X) @ rounded(KERNEL) + rounded(BIAS)
