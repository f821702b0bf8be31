"""Checks of the exercise vmap and scan.

Each part is tried apart from the others: `ensemble` and `predict` with a member of the checks, which writes into its
state, and `Deep` with known layers. Of `Deep`, first the layers and the count are looked at, then what a call does.
"""

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding, told
from nnx_state.practice.formulas import first_that_holds, formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import difference, own_attributes, role
from nnx_state.practice.stages import apart
from nnx_state.practice.state import copied, held
from nnx_state.practice.trials import tried
from nnx_state.practice.values import array_of, content, describe, numbers, ramp, raw, spec, twin

SIZE, DEPTH, WIDTH = 3, 5, 2
X = np.linspace(-1.0, 2.0, SIZE * WIDTH, dtype=np.float32).reshape(SIZE, WIDTH) ** 2  # as many examples as members
AXES = ("vmap was requested", "inconsistent sizes", "axis spec", "out of bounds", "No axis found", "non-None")


class Member(nnx.Module):
    """A model that writes into its state: a count of its calls, an average, and the count of a stream."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(noise(rngs.params()))
        self.stream = rngs.dropout.fork()
        self.mean = nnx.BatchStat(array_of(np.zeros(WIDTH, np.float32)))
        self.calls = nnx.Variable(array_of(np.zeros((), np.int32)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return numbers that depend on all examples of the batch."""
        self.calls[...] += 1
        y = x * self.kernel
        self.mean[...] += 0.1 * (y.mean(axis=0) - self.mean)
        return y - self.mean + noise(self.stream())


class Seeded(nnx.Module):
    """A model that holds what its first key draws, and nothing else."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(noise(rngs.params()))


def noise(key: jax.Array) -> jax.Array:
    """Return the two numbers of a key, from 0 to 1: they compile faster than random numbers."""
    return jax.random.key_data(key) / 2.0**32


def near(one: Any, two: Any) -> bool:
    """Tell whether two arrays have one shape and nearly the same numbers: programs differ in their rounding."""
    return np.shape(one) == np.shape(two) and bool(np.allclose(one, two, rtol=1e-3, atol=1e-4))


def unlike(leaf: Any) -> int:
    """Return how many of the slices on the first axis are different."""
    slices = raw(leaf)
    return len(np.unique(slices.reshape(len(slices), -1), axis=0))


@functools.cache
def alone() -> tuple[Any, list[tuple[np.ndarray, dict[str, np.ndarray]]]]:
    """Build the members of an ensemble, each from a seed of its own, and call each of them twice, in one program.

    Returns:
        The members as they are at first, in one module with stacked state; and for each call the outputs of all
        members and the state that they have then, both stacked too.
    """
    x = array_of(X)

    @jax.jit
    @jax.vmap
    def run(seed: jax.Array) -> Any:
        member, outputs = Member(nnx.Rngs(jax.random.key(seed))), []
        states = [nnx.as_pure(nnx.state(member))]
        for _ in range(2):
            outputs.append(member(x))
            states.append(nnx.as_pure(nnx.state(member)))
        return states, outputs

    (start, *states), outputs = run(array_of(np.arange(SIZE, dtype=np.int32)))
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: Member(nnx.Rngs(0))))
    after = [copied(nnx.merge(graphdef, state)) for state in states]
    return nnx.merge(graphdef, start), list(zip(map(np.asarray, outputs), after, strict=True))


@apart
def building(attempt: Attempt) -> Iterator[Finding]:
    """All state of an ensemble has one more axis, and its members differ."""
    attempt.function("ensemble", "make", "size", "rngs")
    line = attempt.line("ensemble")
    rngs = nnx.Rngs(0)
    kinds = {"requested": "keys"} | dict.fromkeys(AXES, "axes")
    models = tried(attempt, f"ensemble(make, {SIZE}, rngs)", "ensemble", kinds, make=Member, rngs=rngs)
    if not isinstance(models, Member):
        kind = "list" if isinstance(models, (list, tuple, nnx.List)) else "result-type"
        raise Stop(Finding(kind, "ensemble", f"`ensemble` returns {describe(models)}", "one Member", line))
    every, stacked = held(models), held(alone()[0])
    for path, leaf in every.items():
        if leaf.shape != stacked[path].shape:
            seen, expected = f"{path} is {spec(leaf[...])}", f"{list(stacked[path].shape)}"
            raise Stop(Finding("axis", "ensemble", seen, expected, line))
    for path in ("kernel", "stream.key"):
        if (different := unlike(every[path])) < SIZE:
            seen = f"different values in {path}: {different}"
            measured = f"Of {SIZE} members {SIZE - different} repeat another one, number by number."
            raise Stop(Finding("alike", "ensemble", seen, f"{SIZE}", line, measured))
    if rngs.default.key.shape != ():
        yield Finding("rngs", "ensemble", f"then `rngs` holds {spec(rngs.default.key[...])}", "one key", line)
    other = attempt.call(f"ensemble(make, {DEPTH}, rngs)", make=Seeded, rngs=nnx.Rngs(1))
    if len(other.kernel) != DEPTH:
        seen = f"{len(other.kernel)} members for the size {DEPTH}"
        yield Finding("size", "ensemble", seen, str(DEPTH), line)
    elif np.array_equal(raw(other.kernel)[0], raw(models.kernel)[0]):
        yield Finding("seed", "ensemble", "seeds 0 and 1 give one kernel", "another for each seed", line)


@apart
def predicting(attempt: Attempt) -> Iterator[Finding]:
    """Every member gets all examples, and keeps what it writes, as if it were called alone."""
    attempt.function("predict", "models", "x")
    stacked, calls = alone()
    line = attempt.line("predict")
    x = array_of(X)
    models = twin(stacked)
    for outputs, wanted in calls:
        result = tried(attempt, "predict(models, x)", "predict", dict.fromkeys(AXES, "axes"), models=models, x=x)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise Stop(Finding("result-type", "predict", f"`predict` returns {describe(result)}", "a pair", line))
        _averaged(attempt, result[0], result[1], outputs)
        if lost := [path for path, value in copied(models).items() if not near(value, wanted[path])]:
            seen = f"what was written is lost in {', '.join(lost)}"
            measured = f"After a call of each member the counts are {numbers(models.calls[...])}."
            raise Stop(Finding("lost", "predict", seen, "written state is kept", line, measured))
    yield from ()


@apart
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


STAGES = (building, predicting, stacking)


def _deep(seed: int) -> str:
    return f"Deep({WIDTH}, {DEPTH}, rngs=nnx.Rngs({seed}))"


def _averaged(attempt: Attempt, mean: Any, std: Any, outputs: np.ndarray) -> None:
    """Compare what `predict` returned with the mean and the deviation of the outputs of all members.

    Raises:
        Stop: If one of the two is another.
    """
    line, wanted = attempt.line("predict"), (outputs.mean(0), outputs.std(0))
    if np.shape(mean) != X.shape or np.shape(std) != X.shape:
        dealt = np.shape(mean) == (WIDTH,) and not near(mean, outputs.mean((0, 1)))
        seen = f"{spec(mean)} and {spec(std)} for {SIZE} examples and {SIZE} members"
        raise Stop(Finding("dealt" if dealt else "result-shape", "predict", seen, f"two of {list(X.shape)}", line))
    if not (near(mean, wanted[0]) and near(std, wanted[1])):
        kinds = {
            "order": near(mean, wanted[1]) and near(std, wanted[0]),
            "variance": near(std, outputs.var(0)),
            "sample": near(std, outputs.std(0, ddof=1)),
            "axis": near(mean, outputs.mean(1)),
        }
        kind = first_that_holds(kinds, otherwise="result-value")
        seen = f"{numbers(mean)} and {numbers(std)}"
        expected = f"{numbers(wanted[0])} and {numbers(wanted[1])}"
        raise Stop(Finding(kind, "predict", seen, expected, line))


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
