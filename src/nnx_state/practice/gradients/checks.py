"""Checks of the exercise Gradients.

First `chosen_grads`, for filters by type and by path: which leaves have a slope, whether the slopes are those that
NumPy computes, and what became of the model. Then `critic_grads`, whatever is wrong with `chosen_grads`: the loss is a
product of two outputs, so that the slopes of either model are the outputs of the other.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.errors import TraceContextError

from nnx_state.practice.findings import Finding, told
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import part
from nnx_state.practice.state import copied, held
from nnx_state.practice.values import array_of, close, content, describe, described, listed, numbers

X = np.array([1.0, -2.0, 0.5], np.float32)
KERNELS = [np.linspace(first, first + 2.0, 6, dtype=np.float32).reshape(3, 2) for first in (-1.0, 0.5)]
MEAN = np.array([0.5, -0.5], np.float32)
Slopes = dict[str, np.ndarray]


class Scale(nnx.Param[Any]):
    """A type of Param of its own, for filters by type."""


class Layer(nnx.Module):
    """A layer with two Params, a float statistic and an integer counter."""

    def __init__(self, kernel: np.ndarray) -> None:
        self.kernel = nnx.Param(array_of(kernel))
        self.bias = Scale(jnp.zeros(2))
        self.mean = nnx.BatchStat(array_of(MEAN))
        self.count = nnx.Variable(jnp.array(0))

    def __call__(self) -> jax.Array:
        """Return two numbers, of which each has a slope for each of the three float leaves."""
        return jnp.dot(X, self.kernel[...]) + self.bias[...] - self.mean[...]


class Loss:
    """A loss that counts in the models and notes what it is given, each time that Python runs it."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, ...]] = []

    def of_one(self, model: Layer, *batch: Any) -> jax.Array:
        """Return the mean square of the distance from one."""
        self.given.append(batch)
        model.count[...] += 1
        return jnp.mean((model() - 1.0) ** 2)

    def of_two(self, generator: Layer, critic: Layer, *batch: Any) -> jax.Array:
        """Return the mean product of the outputs."""
        self.given.append(batch)
        generator.count[...] += 1
        critic.count[...] += 1
        return jnp.mean(generator() * critic())


FILTERS: dict[str, Any] = {
    "nnx.Param": nnx.Param,
    'nnx.PathContains("bias")': nnx.PathContains("bias"),
    "nnx.BatchStat": nnx.BatchStat,
    "a type under Param": Scale,
}


def chosen(attempt: Attempt) -> Iterator[Finding]:
    """The loss and the slopes of exactly the leaves that a filter matches, and a model that is otherwise as it was."""
    for batch in ((), ("x",), ("x", "y")):
        attempt.function("chosen_grads", "model", "loss_fn", "chosen", *batch)
    about, line = "chosen_grads", attempt.line("chosen_grads")
    residual = X @ KERNELS[0] - MEAN - 1.0
    every = {"bias": residual, "kernel": np.outer(X, residual), "mean": -residual}
    for text, wanted in FILTERS.items():
        model, loss = Layer(KERNELS[0]), Loss()
        before = copied(model)
        call = "chosen_grads(model, loss_fn, chosen, x)"
        given = {"model": model, "loss_fn": loss.of_one, "chosen": wanted}
        returned = _called(attempt, about, call, f"for {text}", loss, **given)
        if not (isinstance(returned, (tuple, list)) and len(returned) == 2 and _is_number(returned[0])):
            raise Stop(Finding("result-type", about, described(returned), "(loss, grads)", line))
        paths = held(nnx.state(model, wanted))
        slopes = {path: slope for path, slope in every.items() if path in paths}
        _compare(about, f"for {text}", returned[1], slopes, line)
        if not close(returned[0], np.mean(residual**2)):
            seen = f"the loss is {numbers(returned[0])}"
            raise Stop(Finding("value", "loss", seen, numbers(np.mean(residual**2)), line))
        _unchanged(about, "model", model, before, line)
    yield from ()


def batches(attempt: Attempt) -> Iterator[Finding]:
    """The batch may be empty or have two arrays."""
    line = attempt.line("chosen_grads")
    for batch, size in (("", 0), (", x, y", 2)):
        loss = Loss()
        given = {"model": Layer(KERNELS[0]), "loss_fn": loss.of_one, "chosen": nnx.Param}
        attempt.call(f"chosen_grads(model, loss_fn, chosen{batch})", x=array_of(X), y=array_of(2 * X), **given)
        if len(loss.given[0]) != size:
            seen = f"of a batch of {size} arrays the loss gets {len(loss.given[0])}"
            raise Stop(Finding("batch", "loss", seen, f"{size} arrays", line))
    yield from ()


def unmatched(attempt: Attempt) -> Iterator[Finding]:
    """A filter without a leaf raises ValueError."""
    line, case = attempt.line("chosen_grads"), 'for nnx.PathContains("biases"), which matches no leaf,'
    given = {"model": Layer(KERNELS[0]), "loss_fn": Loss().of_one, "chosen": nnx.PathContains("biases")}
    try:
        returned = attempt.call("chosen_grads(model, loss_fn, chosen)", **given)
    except ValueError:
        return
    except NotImplementedError:
        raise
    except Exception as error:
        seen = f"{case} {told(error)}"
        yield Finding("exception", "chosen_grads", seen, "ValueError", line)
    else:
        seen = f"{case} nothing was raised"
        measured = f"It returned slopes of {listed(held(returned[1]))}: an optimizer would step and move nothing."
        yield Finding("unmatched", "chosen_grads", seen, "ValueError", line, measured)


def critics(attempt: Attempt) -> Iterator[Finding]:
    """The slopes of the Params of the second model alone, and two models that are otherwise as they were."""
    attempt.function("critic_grads", "generator", "critic", "loss_fn", "x")
    about, line = "critic_grads", attempt.line("critic_grads")
    models, loss = [Layer(kernel) for kernel in KERNELS], Loss()
    before = [copied(model) for model in models]
    given = {"generator": models[0], "critic": models[1], "loss_fn": loss.of_two}
    grads = _called(attempt, about, "critic_grads(generator, critic, loss_fn, x)", "of the critic", loss, **given)
    if isinstance(grads, (tuple, list)):
        raise Stop(Finding("both", about, described(grads), "the gradients of the critic alone", line))
    outputs = [X @ kernel - MEAN for kernel in KERNELS]
    of_generator, of_critic = ({"bias": y / 2, "kernel": np.outer(X, y / 2)} for y in reversed(outputs))
    if isinstance(grads, nnx.State) and _same(_slopes(grads), of_generator):
        seen = f"the slope of the bias is {numbers(of_generator['bias'])}, that of the generator"
        raise Stop(Finding("generator", about, seen, f"{numbers(of_critic['bias'])}, that of the critic", line))
    _compare(about, "of the critic", grads, of_critic, line)
    for name, model, old in zip(("generator", "critic"), models, before, strict=True):
        _unchanged(about, name, model, old, line)
    if len(loss.given[0]) != 1:
        yield Finding("batch", "loss", f"of a batch of 1 array the loss gets {len(loss.given[0])}", "1 array", line)


STAGES = (*part(chosen, batches, unmatched), *part(critics))


def _called(attempt: Attempt, about: str, call: str, case: str, loss: Loss, **given: Any) -> Any:
    """Return what a call of the attempt returns, which runs the loss once; name what stops it."""
    line = attempt.line(about)
    try:
        returned = attempt.call(call, x=array_of(X), **given)
    except TypeError as error:
        if "grad requires real" not in str(error):
            raise
        seen = f"`{about}` {case}: TypeError: {str(error).splitlines()[0].split(' (')[0]}"
        raise Stop(Finding("every-leaf", "grads", seen, "gradients", line)) from None
    except TraceContextError as error:
        seen = f"`{about}` {case}: TraceContextError: {str(error).split(' (')[0]}"
        raise Stop(Finding("closed-over", "loss", seen, "gradients", line)) from None
    if len(loss.given) != 1:
        times = len(loss.given)
        measured = f"A loss that counts in the model counts {times} for this one call."
        raise Stop(Finding("runs", "loss", f"in `{about}` the loss runs {times} times", "once", line, measured))
    return returned


def _slopes(grads: Any) -> Slopes:
    """Return the numbers of a gradient by path."""
    return {path: np.asarray(content(leaf)) for path, leaf in held(grads).items()}


def _same(one: Slopes, two: Slopes) -> bool:
    return one.keys() == two.keys() and all(close(one[path], two[path]) for path in two)


def _compare(about: str, case: str, grads: Any, wanted: Slopes, line: int | None) -> None:
    """Stop where a gradient has other leaves than it should, or other numbers."""
    if not isinstance(grads, (nnx.State, nnx.Module, dict)):
        seen = f"in `{about}` the gradients are {describe(grads)}"
        raise Stop(Finding("result-type", "grads", seen, "a State", line))
    slopes = _slopes(grads)
    if slopes.keys() != wanted.keys():
        more = [slopes[path] for path in slopes.keys() - wanted.keys()]
        kind = "other" if wanted.keys() - slopes.keys() else "wider" if any(map(np.any, more)) else "zeros"
        sizes = [sum(slope.size for slope in found.values()) for found in (slopes, wanted)]
        measured = f"The gradient has {sizes[0]} numbers where {sizes[1]} were asked for."
        seen = f"`{about}` {case} has slopes of {listed(slopes)}"
        raise Stop(Finding(kind, "grads", seen, f"slopes of {listed(wanted)}", line, measured))
    for path, slope in wanted.items():
        if not close(slopes[path], slope):
            seen = f"`{about}` {case}: the slope of the {path} is {numbers(slopes[path])}"
            raise Stop(Finding("value", "grads", seen, numbers(slope), line))


def _unchanged(about: str, name: str, model: Layer, before: dict[str, np.ndarray], line: int | None) -> None:
    """Stop where a model has not what the loss writes, or has changed in another way."""
    after = copied(model)
    if (count := after.pop("count")) != 1:
        seen = f"after `{about}` the count of the {name} is {count}"
        raise Stop(Finding("lost", "count", seen, "1, as the loss has counted", line))
    if moved := [path for path, value in after.items() if not np.array_equal(value, before[path])]:
        raise Stop(Finding("moved", "model", f"`{about}` changes the {listed(moved)} of the {name}", "no change", line))


def _is_number(loss: Any) -> bool:
    return isinstance(loss, (jax.Array, np.generic, float)) and np.ndim(loss) == 0
