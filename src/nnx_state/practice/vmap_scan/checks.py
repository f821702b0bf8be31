"""Checks of the exercise vmap and scan."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, content, describe, numbers, role, spec
from nnx_state.practice.trials import held, raw, tried

SIZE, DEPTH, WIDTH = 3, 5, 2
X = np.linspace(-1.0, 2.0, SIZE * WIDTH, dtype=np.float32).reshape(SIZE, WIDTH) ** 2  # as many examples as members
AXES = ("vmap was requested", "inconsistent sizes", "axis spec", "out of bounds", "No axis found", "non-None")


class Member(nnx.Module):
    """A model that writes into its state: a count of its calls, an average, and the count of a stream."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(noise(rngs.params()))
        self.stream = rngs.dropout.fork()
        self.mean = nnx.BatchStat(jnp.zeros(WIDTH))
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return numbers that depend on all examples of the batch."""
        self.calls[...] += 1
        y = x * self.kernel
        self.mean[...] += 0.1 * (y.mean(axis=0) - self.mean)
        return y - self.mean + noise(self.stream())


def noise(key: jax.Array) -> jax.Array:
    """Return the two numbers of a key, from 0 to 1: they compile faster than random numbers."""
    return jax.random.key_data(key) / 2.0**32


def near(one: Any, two: Any) -> bool:
    """Tell whether two arrays have one shape and nearly the same numbers: programs differ in their rounding."""
    return np.shape(one) == np.shape(two) and bool(np.allclose(one, two, rtol=1e-3, atol=1e-4))


def unlike(leaf: Any) -> int:
    """Return how many of the slices on the first axis are different."""
    return len(np.unique(raw(leaf).reshape(len(raw(leaf)), -1), axis=0))


def names(attempt: Attempt) -> Iterator[Finding]:
    """The functions and the class are there."""
    attempt.function("ensemble", "make", "size", "rngs")
    attempt.function("predict", "models", "x")
    attempt.module_class("Deep")
    yield from ()


def building(attempt: Attempt) -> Iterator[Finding]:
    """All state of an ensemble has one more axis, and its members differ."""
    line, rngs, kinds = attempt.line("ensemble"), nnx.Rngs(0), {"requested": "keys"} | dict.fromkeys(AXES, "axes")
    models = tried(attempt, f"ensemble(make, {SIZE}, rngs)", "ensemble", kinds, make=Member, rngs=rngs)
    if not isinstance(models, Member):
        kind = "list" if isinstance(models, (list, tuple, nnx.List)) else "result-type"
        raise Stop(Finding(kind, "ensemble", f"`ensemble` returns {describe(models)}", "one Member", line))
    one = held(Member(nnx.Rngs(0)))
    for path, leaf in held(models).items():
        if leaf.shape != (SIZE, *one[path].shape):
            seen, wanted = f"{path} is {spec(leaf[...])}", f"{[SIZE, *one[path].shape]}"
            raise Stop(Finding("axis", "ensemble", seen, wanted, line))
    for path in ("kernel", "stream.key"):
        if (different := unlike(held(models)[path])) < SIZE:
            seen = f"different values in {path}: {different}"
            measured = f"Of {SIZE} members {SIZE - different} repeat another one, number by number."
            raise Stop(Finding("alike", "ensemble", seen, f"{SIZE}", line, measured))
    if rngs.default.key.shape != ():
        yield Finding("rngs", "ensemble", f"then `rngs` holds {spec(rngs.default.key[...])}", "one key", line)
    other = attempt.call("ensemble(make, 2, rngs)", make=Member, rngs=nnx.Rngs(1))
    if other.calls.shape != (2,):
        yield Finding("size", "ensemble", f"{other.calls.shape[0]} members for the size 2", "2", line)
    elif np.array_equal(raw(other.kernel)[0], raw(models.kernel)[0]):
        yield Finding("seed", "ensemble", "seeds 0 and 1 give one kernel", "another for each seed", line)


def predicting(attempt: Attempt) -> Iterator[Finding]:
    """Every member gets all examples, and keeps what it writes."""
    line, x, alone = attempt.line("predict"), jnp.asarray(X), [Member(nnx.Rngs(seed)) for seed in range(SIZE)]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(nnx.state, alone))
    models = nnx.merge(nnx.graphdef(alone[0]), together)
    for _ in range(2):
        result = tried(attempt, "predict(models, x)", "predict", dict.fromkeys(AXES, "axes"), models=models, x=x)
        outputs = np.stack([member(x) for member in alone])
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise Stop(Finding("result-type", "predict", f"`predict` returns {describe(result)}", "a pair", line))
        mean, std = result
        wanted = outputs.mean(0), outputs.std(0)
        if np.shape(mean) != X.shape or np.shape(std) != X.shape:
            dealt = np.shape(mean) == (WIDTH,) and not near(mean, outputs.mean((0, 1)))
            kind = "dealt" if dealt else "result-shape"
            seen = f"{spec(mean)} and {spec(std)} for {SIZE} examples and {SIZE} members"
            raise Stop(Finding(kind, "predict", seen, f"two of {list(X.shape)}", line))
        if not (near(mean, wanted[0]) and near(std, wanted[1])):
            kinds = {
                "order": near(mean, wanted[1]) and near(std, wanted[0]),
                "variance": near(std, outputs.var(0)),
                "sample": near(std, outputs.std(0, ddof=1)),
                "axis": near(mean, outputs.mean(1)),
            }
            kind = next((kind for kind, holds in kinds.items() if holds), "result-value")
            seen, expected = (f"{numbers(pair[0])} and {numbers(pair[1])}" for pair in (result, wanted))
            raise Stop(Finding(kind, "predict", seen, expected, line))
        if lost := [path for path, leaf in held(models).items() if not near(raw(leaf), _together(alone, path))]:
            measured = f"After a call of each member the counts are {numbers(models.calls[...])}."
            seen = f"what was written is lost in {', '.join(lost)}"
            raise Stop(Finding("lost", "predict", seen, "written state is kept", line, measured))
    yield from ()


def stacking(attempt: Attempt) -> Iterator[Finding]:
    """The layers are one module with stacked Params, and the count is one number for all."""
    kinds = {"requested": "keys", "Found data": "list"} | dict.fromkeys(AXES, "axes")
    what, line = f"Deep({WIDTH}, {DEPTH}, rngs=nnx.Rngs(2))", attempt.line("layers", "Deep")
    deep = tried(attempt, what, "layers", kinds, nnx=nnx)
    if not hasattr(deep, "layers"):
        seen = f"the module has {', '.join(name for name in vars(deep) if not name.startswith('_'))}"
        raise Stop(Finding("missing", "layers", seen, "`layers`", attempt.line("Deep")))
    if not isinstance(deep.layers, nnx.Linear):
        many = isinstance(deep.layers, (list, tuple, dict, nnx.List, nnx.Dict, nnx.Sequential))
        raise Stop(Finding("list" if many else "object", "layers", describe(deep.layers), "one nnx.Linear", line))
    for name, shape in (("kernel", (DEPTH, WIDTH, WIDTH)), ("bias", (DEPTH, WIDTH))):
        if (param := getattr(deep.layers, name)) is None or param.shape != shape:
            seen, kind = f"the {name} is {describe(param)}", "bias" if param is None else "axis"
            raise Stop(Finding(kind, "layers", seen, f"{list(shape)}", line))
    if (different := unlike(deep.layers.kernel)) < DEPTH:
        measured = f"Of {DEPTH} layers {DEPTH - different} repeat another one, number by number."
        yield Finding("alike", "layers", f"different kernels: {different}", f"{DEPTH}", line, measured)
    elif np.array_equal(deep.layers.kernel, attempt.call(what.replace("2)", "3)"), nnx=nnx).layers.kernel):
        yield Finding("seed", "layers", "seeds 2 and 3 give the same kernels", "others for each seed", line)
    line, faults = attempt.line("calls", "Deep"), list(role(attempt, deep, "calls", nnx.Variable))
    for fault in faults:
        yield dataclasses.replace(fault, measured=_gradient(deep) if fault.kind == "param" else "")
    if not faults and spec(count := content(deep.calls)) != "int32[]":
        kind = "shape" if np.shape(count) else "dtype"
        faults = [Finding(kind, "calls", f"calls is {spec(count)}", "int32[]", line)]
        yield from faults
    elif not faults and count != 0:
        yield Finding("value", "calls", f"calls is {numbers(count)}", "0", line)
    if extra := sorted(set(held(deep)) - {"layers.kernel", "layers.bias", "calls"}):
        yield Finding("extra", "", f"also {', '.join(extra)}", "layers and calls alone", attempt.line("Deep"))
    if not faults:
        yield from _running(attempt, deep)


def functions(attempt: Attempt) -> Iterator[Finding]:
    """Each part is tried apart from the others, so that all can be told."""
    for part in (building, predicting, stacking):
        try:
            yield from part(attempt)
        except Stop as stop:
            yield stop.finding


STAGES = (names, functions)


def _running(attempt: Attempt, deep: Any) -> Iterator[Finding]:
    """The forward pass applies the layers in turn, counts each, and is one program whatever the depth."""
    line, x, calls = attempt.line("__call__", "Deep"), jnp.asarray(X), deep.calls
    deep.layers.bias.set_value(jnp.linspace(-1.0, 1.0, DEPTH * WIDTH).reshape(DEPTH, WIDTH))
    calls.set_value(jnp.zeros((), jnp.int32))
    kernels, biases = raw(deep.layers.kernel), raw(deep.layers.bias)
    kinds = {"tuple index": "axes", "requested": "axes", "In-place": "in-place"}
    y = tried(attempt, "deep(x)", "calls", kinds, deep=deep, x=x)
    if not isinstance(y, jax.Array):
        raise Stop(Finding("result-type", "forward", f"it returns {describe(y)}", "an array", line))
    if y.shape != X.shape:
        kind = "parallel" if y.shape == (DEPTH, *X.shape) else "result-shape"
        raise Stop(Finding(kind, "forward", f"it returns {spec(y)}", f"{list(X.shape)}", line))
    wanted = _deep(kernels, biases)
    if not near(y, wanted):
        formulas = {
            "no-activation": _deep(kernels, biases, np.asarray),
            "activation": _deep(kernels, biases, jax.nn.relu),
            "order": _deep(kernels[::-1], biases[::-1]),
            "one-layer": _deep(kernels[:1], biases[:1]),
            "last-layer": _deep(kernels[-1:], biases[-1:]),
        }
        kind = next((kind for kind, value in formulas.items() if near(y, value)), "formula")
        yield Finding(kind, "forward", f"{numbers(y)} from {DEPTH} known layers", numbers(wanted), line)
    now = content(deep.calls)
    if deep.calls is not calls:
        raise Stop(Finding("replaced", "calls", f"then `calls` is {describe(deep.calls)}", "the Variable", line))
    if spec(now) != "int32[]" or now != DEPTH:
        kind = "unchanged" if not np.any(now) else "once" if np.size(now) == 1 and now == 1 else "result"
        seen = f"after a call of {DEPTH} layers calls is {numbers(now)}"
        yield Finding(kind, "calls", seen, f"{DEPTH}", line)
    what = "nnx.jit(lambda deep, x: deep(x))(deep, x)"
    again = tried(attempt, what, "Deep", {"": "jit"}, deep=deep, x=x, nnx=nnx)
    twice = content(deep.calls)
    if not near(again, y) or twice != 2 * now:
        seen = f"`{what}` gives {numbers(again)}, and calls goes from {now} to {twice}"
        yield Finding("jit", "Deep", seen, f"{numbers(y)}, and {2 * now}", line)
    what = "jax.make_jaxpr(lambda deep, x: deep(x))(deep, x)"
    products = str(attempt.call(what, deep=deep, x=x, jax=jax)).count("dot_general")
    if products > 1:
        measured = f"The program for {DEPTH} layers has {products} products; a scan has one, whatever the depth."
        yield Finding("loop", "forward", f"a layer is traced {products} times", "once", line, measured)


def _gradient(deep: Any) -> str:
    try:
        nnx.grad(lambda deep: deep(jnp.asarray(X)).sum())(deep)
    except Exception as error:
        return f"`nnx.grad` of this model raises {type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return ""


def _deep(kernels: np.ndarray, biases: np.ndarray, activation: Any = np.tanh) -> Any:
    x = X
    for kernel, bias in zip(kernels, biases, strict=True):
        x = activation(x @ kernel + bias)
    return x


def _together(alone: list[Member], path: str) -> np.ndarray:
    return np.stack([raw(held(member)[path]) for member in alone])
