"""Checks of the exercise Memory.

First `budget`, for an optimizer that keeps much and one that keeps nothing: each number is compared with the true one,
and with what known mistakes give. Then `forward`, whatever is wrong with `budget`: what it returns and writes, what it
keeps for the backward pass, and the gradients of that.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state import residual_bytes
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import part
from nnx_state.practice.trials import tried
from nnx_state.practice.values import array_of, content, describe, near, numbers, raw, spec

KEYS = ("Params", "rest", "gradients", "optimizer")
TRUE = {"Params": 134, "rest": 15, "gradients": 134, "optimizer": 276}
PLAIN = TRUE | {"optimizer": 4}  # without a rule that keeps anything, the count of steps is all
KNOWN = {
    "Params": {"numbers": 37, "four": 148, "twice": 254, "all": 149},
    "rest": {"numbers": 5, "four": 20, "all": 149, "random": 3},
    "gradients": {"numbers": 37, "four": 148, "twice": 254, "all": 149},
    "optimizer": {"numbers": 76, "four": 304, "counters": 268, "all": 425, "model": 410},
}
EVERYWHERE = {"numbers", "four", "twice"}  # one mistake, in whichever number it is seen first
DEPTH, WIDTH = 4, 2
X = np.linspace(-1.0, 1.0, 3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)
KERNELS = np.linspace(-1.5, 2.0, DEPTH * WIDTH * WIDTH, dtype=np.float32).reshape(DEPTH, WIDTH, WIDTH)
RAISED = {"does not support bound methods": "bound", "different trace level": "closed-over"}


class Table(nnx.Variable[Any]):
    """A type of Variable that the attempt cannot know."""


class Model(nnx.Module):
    """Two Params of different dtypes, one with two names; a table; a random stream."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (6, 5)))
        self.scale = nnx.Param(jnp.ones(7, jnp.bfloat16))
        self.tied = self.kernel
        self.table = Table(jnp.zeros(3, jnp.int8))
        self.dropout = nnx.Dropout(0.5, rngs=rngs)


class Layer(nnx.Module):
    """A layer that counts its calls."""

    def __init__(self, kernel: np.ndarray) -> None:
        self.kernel = nnx.Param(array_of(kernel))
        self.count = nnx.Variable(array_of(np.zeros((), np.int32)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return two functions of the product: of each the backward pass needs something else than the product."""
        self.count[...] += 1
        return jnp.sin(3.0 * jnp.tanh(jnp.dot(x, self.kernel[...])))


def bytes_of_a_step(attempt: Attempt) -> Iterator[Finding]:
    """Each number is that of the shapes, and nothing was computed for it."""
    attempt.function("budget", "build", "tx")
    line = attempt.line("budget")
    found = _budget(attempt, optax.adam(0.1))
    told = set()
    for key in KEYS:
        if found[key] == TRUE[key]:
            continue
        kind = formula_of(found[key], KNOWN[key], "value", same=_same)
        about = "bytes" if kind in EVERYWHERE else key.lower()
        if (about, kind) not in told:
            told.add((about, kind))
            yield Finding(kind, about, f'with Adam, "{key}" is {found[key]}', str(TRUE[key]), line)
    if told:
        return
    found = _budget(attempt, optax.sgd(0.1))
    if wrong := [key for key in KEYS if found[key] != PLAIN[key]]:
        seen = f'with `optax.sgd`, "{wrong[0]}" is {found[wrong[0]]}'
        yield Finding("fixed", "optimizer", seen, str(PLAIN[wrong[0]]), line)


def calls(attempt: Attempt) -> Iterator[Finding]:
    """The layers are called in turn, and write."""
    attempt.function("forward", "layers", "x")
    line, layers = attempt.line("forward"), _layers()
    y = _called(attempt, layers)
    if not isinstance(y, jax.Array):
        raise Stop(Finding("result-type", "forward", f"it returns {describe(y)}", "an array", line))
    formulas = {
        "order": _applied(KERNELS[::-1]),
        "one-layer": _applied(KERNELS[:1]),
        "last-layer": _applied(KERNELS[-1:]),
    }
    if not near(y, _applied(KERNELS)):
        kind = formula_of(y, formulas, same=near)
        wanted = numbers(_applied(KERNELS))
        raise Stop(Finding(kind, "forward", f"{numbers(y)} ({spec(y)}) from {DEPTH} known layers", wanted, line))
    counts = [int(raw(layer.count)) for layer in layers]
    if counts != [1] * DEPTH:
        kind = "lost" if not any(counts) else "value"
        yield Finding(kind, "count", f"after one call the layers have counted {counts}", f"{[1] * DEPTH}", line)


def keeping(attempt: Attempt) -> Iterator[Finding]:
    """Of each layer the input is kept, and the gradients are those of the layers."""
    line, x = attempt.line("forward"), array_of(X)
    with attempt.does("`nnx.grad` of `forward(layers, x)`"):
        grads = nnx.grad(lambda layers: attempt.get("forward")(layers, x).sum())(_layers())
        kept = residual_bytes(attempt.get("forward"), _layers(), x)
    right = nnx.grad(lambda layers: _in_turn(layers, x).sum())(_layers())
    if not all(map(near, jax.tree.leaves(grads), jax.tree.leaves(right))):
        first = numbers(content(jax.tree.leaves(grads)[0]))
        raise Stop(Finding("gradient", "forward", f"the first slopes are {first}", "those of the layers", line))
    wanted, plain = (DEPTH - 1) * X.nbytes, residual_bytes(_in_turn, _layers(), x)
    if kept != wanted:
        kind = formula_of(kept, {"kept": plain, "whole": 0}, "policy" if kept > wanted else "grouped", same=_same)
        seen = f"{kept} bytes are kept for the backward pass of {DEPTH} layers"
        expected = f"{wanted}: the inputs of {DEPTH - 1} layers, beside the given one"
        yield Finding(kind, "forward", seen, expected, line)


STAGES = (*part(bytes_of_a_step), *part(calls, keeping))


def _same(one: Any, two: Any) -> bool:
    return bool(one == two)


def _budget(attempt: Attempt, rule: optax.GradientTransformation) -> dict[str, int]:
    """Return the four numbers for the known model.

    Raises:
        Stop: If it is something else, or an array of numbers was made for it.
    """
    line = attempt.line("budget")
    drawn: list[bool] = []
    begun: list[bool] = []

    def build() -> Model:
        model = Model()
        drawn.append(not isinstance(content(model.kernel), jax.core.Tracer))
        return model

    def init(params: Any) -> Any:
        begun.extend(not isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(params))
        return rule.init(params)

    tx = optax.GradientTransformation(init, rule.update)
    found: dict[str, int] = attempt.call("budget(build, tx)", build=build, tx=tx)
    named = isinstance(found, dict) and found.keys() == set(KEYS)
    if not named or any(type(size) is not int for size in found.values()):
        seen = f"{describe(found)}: {found}" if isinstance(found, dict) else describe(found)
        raise Stop(Finding("result-type", "budget", seen, f"a dict of ints for {', '.join(KEYS)}", line))
    if any(drawn):
        raise Stop(Finding("eager", "build", "`build` drew its numbers", "`build` for shapes alone", line))
    if any(begun):
        seen = "the optimizer was made outside of `nnx.eval_shape`"
        raise Stop(Finding("eager", "optimizer", seen, "the optimizer for shapes alone", line))
    return found


def _layers() -> Any:
    return nnx.List([Layer(kernel) for kernel in KERNELS])


def _called(attempt: Attempt, layers: Any) -> Any:
    line = attempt.line("forward")
    return tried(attempt, "forward(layers, x)", "forward", RAISED, line, layers=layers, x=array_of(X))


def _in_turn(layers: Any, x: jax.Array) -> jax.Array:
    for layer in layers:
        x = layer(x)
    return x


def _applied(kernels: np.ndarray) -> np.ndarray:
    """Return what known layers make of `X`, one after the other."""
    x = X
    for kernel in kernels:
        x = np.sin(3.0 * np.tanh(x @ kernel))
    return x
