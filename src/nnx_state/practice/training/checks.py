"""Checks of the exercise Training.

First `train_step`: one step moves the Params by the slope that is known, the next ones run no Python, the gradient is
asked for what the optimizer trains, and the batch may have any length. Then `grouped_optimizer`, whatever is wrong with
`train_step`: each Param moves with the rate of its group, and one without a group is refused.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import part
from nnx_state.practice.state import held
from nnx_state.practice.values import array_of, close, content, describe, listed, numbers

RATE = 0.1
X = np.array([1.0, -2.0, 0.5], np.float32)
KERNEL = np.linspace(-1.0, 1.0, 6, dtype=np.float32).reshape(3, 2)
MEAN = np.array([0.5, -0.5], np.float32)


class Scale(nnx.Param[Any]):
    """A type of Param of its own, for filters by type."""


class Layer(nnx.Module):
    """A layer with two Params, a float statistic and an integer counter."""

    def __init__(self) -> None:
        self.kernel = nnx.Param(array_of(KERNEL))
        self.bias = Scale(jnp.zeros(2))
        self.mean = nnx.BatchStat(array_of(MEAN))
        self.count = nnx.Variable(jnp.array(0))


class Loss:
    """A loss that counts in the model and notes what it is given, each time that Python runs it."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, ...]] = []

    def __call__(self, model: Layer, *batch: Any) -> jax.Array:
        """Return the mean square of the distance from one."""
        self.given.append(batch)
        model.count[...] += 1
        return jnp.mean((jnp.dot(X, model.kernel[...]) + model.bias[...] - model.mean[...] - 1.0) ** 2)


class Trial:
    """A model, an optimizer that notes which gradients it is given, and the loss of one way to train."""

    def __init__(self, attempt: Attempt, wrt: Any = nnx.Param) -> None:
        asked: list[list[str]] = []

        class Watched(nnx.Optimizer[Any]):
            def update(self, model: Any, grads: Any, /, **kwargs: Any) -> Any:
                asked.append(sorted(held(nnx.state(grads))))
                return super().update(model, grads, **kwargs)

        self.attempt, self.asked, self.loss, self.model = attempt, asked, Loss(), Layer()
        self.optimizer = Watched(self.model, optax.sgd(RATE), wrt=wrt)

    def step(self, batch: str = "x", **names: Any) -> Any:
        """Call `train_step` of the attempt once."""
        call = f"train_step(model, optimizer, loss_fn{', ' if batch else ''}{batch})"
        given = {"model": self.model, "optimizer": self.optimizer, "loss_fn": self.loss, "x": array_of(X)}
        return self.attempt.call(call, **given | names)


def steps(attempt: Attempt) -> Iterator[Finding]:
    """One step moves the Params by the gradient, keeps the count and returns the loss; later ones run no Python."""
    for batch in ((), ("x",), ("x", "y")):
        attempt.function("train_step", "model", "optimizer", "loss_fn", *batch)
    trial = Trial(attempt)
    yield from _first_step(attempt, trial)
    yield from _later_steps(attempt, trial)


def gradients(attempt: Attempt) -> Iterator[Finding]:
    """The gradient is asked for exactly what the optimizer trains."""
    line = attempt.line("train_step")
    filters: dict[str, Any] = {'nnx.PathContains("bias")': nnx.PathContains("bias"), "nnx.BatchStat": nnx.BatchStat}
    for text, wrt in filters.items():
        trial, error = Trial(attempt, wrt), ""
        wanted = sorted(held(nnx.state(trial.model, wrt)))
        try:
            trial.step()
        except ValueError as raised:
            error = f" and raised ValueError: {str(raised).splitlines()[0]}"
        if trial.asked and trial.asked[0] != wanted:
            asked = trial.asked[0]
            kind = "gradient-wider" if set(asked) > set(wanted) else "gradient-other"
            seen = f"for wrt={text} it asked for {listed(asked)}{error}"
            sizes = [sum(getattr(trial.model, path).size for path in paths) for paths in (asked, wanted)]
            measured = f"The gradient had {sizes[0]} numbers where the optimizer trains {sizes[1]}."
            raise Stop(Finding(kind, "train_step", seen, ", ".join(wanted), line, measured))
        if error:
            raise Stop(Finding("raised", seen=f"a step with wrt={text}{error}", expected="a step", line=line))
    yield from ()


def batches(attempt: Attempt) -> Iterator[Finding]:
    """The batch may be empty or have two arrays, and each loss function is its own."""
    line = attempt.line("train_step")
    for batch, size in (("", 0), ("x, y", 2)):
        trial = Trial(attempt)
        trial.step(batch, y=array_of(2 * X))
        if not trial.loss.given:
            raise Stop(Finding("other-loss", "train_step", "another loss function was not called", "its loss", line))
        if len(trial.loss.given[0]) != size:
            seen = f"of a batch of {size} arrays the loss gets {len(trial.loss.given[0])}"
            raise Stop(Finding("batch", "train_step", seen, f"{size} arrays", line))
    yield from ()


def groups(attempt: Attempt) -> Iterator[Finding]:
    """Each Param moves with the rate of the first filter that matches it, be it a filter by path or by type."""
    attempt.function("grouped_optimizer", "model", "groups")
    line = attempt.line("grouped_optimizer")
    by_path = {nnx.PathContains("first"): 1.0, nnx.PathContains("bias"): 0.1, nnx.PathContains("kernel"): 0.01}
    wanted = {"first.bias": 1.0, "first.kernel": 1.0, "second.bias": 0.1, "second.kernel": 0.01}
    seen = _rates(attempt, nnx.Dict(first=Layer(), second=Layer()), by_path, line)
    if not _same_rates(seen, wanted):
        last_match = {"first.bias": 0.1, "first.kernel": 0.01, "second.bias": 0.1, "second.kernel": 0.01}
        if _same_rates(seen, last_match):
            kind = "last-wins"
        else:
            second = {path: rate for path, rate in seen.items() if path.startswith("second")}
            kind = "overlap" if _same_rates(second, {"second.bias": 0.1, "second.kernel": 0.01}) else "rates"
        yield Finding(kind, "grouped_optimizer", _worded(seen), _worded(wanted), line)
        return
    seen = _rates(attempt, Layer(), {Scale: 1.0, ...: 0.1}, line)
    wanted = {"bias": 1.0, "kernel": 0.1}
    if not _same_rates(seen, wanted):
        text = f"for the groups Scale and `...`, where the bias is a Scale: {_worded(seen)}"
        yield Finding("types", "grouped_optimizer", text, _worded(wanted), line)


def unmatched(attempt: Attempt) -> Iterator[Finding]:
    """A Param without a group raises ValueError, and is named."""
    model, line = Layer(), attempt.line("grouped_optimizer")
    chosen = {nnx.PathContains("bias"): optax.sgd(1.0)}
    case, expected = "the kernel is in no group", "ValueError that names the kernel"
    try:
        optimizer = attempt.call("grouped_optimizer(model, groups)", model=model, groups=chosen)
    except ValueError as error:
        if "kernel" not in str(error) or "pytree" in str(error):  # an error of JAX lists every Param
            said = " ".join(str(error).split())
            yield Finding("unnamed", "grouped_optimizer", f"{case}: ValueError: {said[:120]}", expected, line)
    except NotImplementedError:
        raise
    except Exception as error:
        seen = f"{case}: {type(error).__name__}: {error}"
        yield Finding("exception", "grouped_optimizer", seen, expected, line)
    else:
        moved = _moved(model, optimizer)["kernel"]
        measured = f"A step with a gradient of 1 moved the kernel by {moved:.4g}."
        yield Finding("unmatched", "grouped_optimizer", f"{case}, and nothing was raised", expected, line, measured)


STAGES = (*part(steps, gradients, batches), *part(groups, unmatched))


def _first_step(attempt: Attempt, trial: Trial) -> Iterator[Finding]:
    """Compare a model after its first step with what the slope of the loss makes of it."""
    model = trial.model
    kernel = trial.model.kernel
    line = attempt.line("train_step")
    try:
        loss = trial.step()
    except TypeError as error:
        kinds = {"as an abstract array": "loss-traced", "grad requires real": "every-leaf"}
        kind = next((kind for text, kind in kinds.items() if text in str(error)), "")
        if not kind:
            raise
        seen = f"TypeError: {str(error).splitlines()[0].split(' (')[0].split('(f=')[0]}"
        raise Stop(Finding(kind, "train_step", seen, "a step", line)) from None
    first, residual = _loss(KERNEL, np.zeros(2))
    wanted = -RATE * np.outer(X, residual)  # the slope of the mean of two squares
    change = np.asarray(content(model.kernel)) - KERNEL
    if not np.any(change):
        raise Stop(_stuck(attempt, line))
    if (taken := trial.optimizer.step[...]) != 1:
        kind = "steps" if taken else "optimizer-unused"
        raise Stop(Finding(kind, "train_step", f"after one call optimizer.step is {taken}", "1", line))
    if model.kernel is not kernel:
        raise Stop(Finding("replaced", "kernel", describe(model.kernel), "the Param from before", line))
    if not close(change, wanted):
        seen = f"the kernel moved by {numbers(change)}"
        raise Stop(Finding("update", "train_step", seen, f"{numbers(wanted)}, once down the slope", line))
    if (count := model.count[...]) != 1:
        kind = "loss-twice" if count > 1 else "writes-lost"
        seen = f"the count of the loss is {count} after one step"
        measured = f"The loss counts its calls in the model: after one step the count is {count}."
        yield Finding(kind, "train_step", seen, "1", line, measured)
    if not (isinstance(loss, jax.Array | np.ndarray | float) and np.shape(loss) == ()):
        yield Finding("result-type", "train_step", f"it returns {describe(loss)}", "the loss, a scalar", line)
    elif not close(loss, first):
        after, _ = _loss(np.asarray(content(model.kernel)), np.asarray(content(model.bias)))
        kind = formula_of(loss, {"loss-after": after}, otherwise="result-value")
        seen = f"{loss:.4g}, where the loss is {first:.4g} before the update and {after:.4g} after it"
        yield Finding(kind, "train_step", seen, f"{first:.4g}", line)


def _later_steps(attempt: Attempt, trial: Trial) -> Iterator[Finding]:
    """Count how often Python runs the loss from the third step on, when all is compiled."""
    trial.step()
    before = len(trial.loss.given)
    for _ in range(3):
        trial.step()
    if more := len(trial.loss.given) - before:
        traced = any(isinstance(x, jax.core.Tracer) for x in trial.loss.given[-1])
        measured = f"Three more steps with the same shapes ran the Python code of the loss {more} times."
        yield Finding(
            "retraced" if traced else "not-compiled",
            "train_step",
            f"Python runs {more} times in 3 steps",
            "compiled code",
            attempt.line("train_step"),
            measured,
        )


def _loss(kernel: np.ndarray, bias: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return the loss of a layer and the distances from one, computed by NumPy."""
    residual = X @ kernel + bias - MEAN - 1.0
    return np.mean(residual**2), residual


def _stuck(attempt: Attempt, line: int | None) -> Finding:
    """Tell why a step leaves the model alone: does it move when nothing is compiled?"""
    trial, eager = Trial(attempt), Trial(attempt)
    losses = [trial.step() for _ in range(3)]
    returned = ", ".join(numbers(loss) if np.ndim(loss) == 0 else describe(loss) for loss in losses)
    with jax.disable_jit():
        eager.step()
    kind = "not-updated" if close(content(eager.model.kernel), KERNEL) else "jax-jit"
    seen = "the kernel is the same after the step"
    measured = f"Three steps returned {returned}."
    return Finding(kind, "train_step", seen, "a kernel that moved", line, measured)


def _worded(rates: dict[str, float]) -> str:
    return ", ".join(f"{path} {rate:.4g}" for path, rate in rates.items())


def _same_rates(seen: dict[str, float], wanted: dict[str, float]) -> bool:
    return close(list(seen.values()), list(wanted.values()))


def _rates(attempt: Attempt, model: nnx.Module, rates: dict[Any, float], line: int | None) -> dict[str, float]:
    """Return the rate with which the optimizer of the attempt moves each Param."""
    chosen = {wanted: optax.sgd(rate) for wanted, rate in rates.items()}
    try:
        optimizer = attempt.call("grouped_optimizer(model, groups)", model=model, groups=chosen)
    except ValueError as error:
        seen = f"every Param has a group, and it raised ValueError: {str(error).splitlines()[0]}"
        if "pytree structure error" in seen:
            seen += ": the labels have other paths than the Params"
        raise Stop(Finding("refused", "grouped_optimizer", seen, "an optimizer", line)) from None
    if not isinstance(optimizer, nnx.Optimizer):
        raise Stop(Finding("result-type", "grouped_optimizer", describe(optimizer), "an nnx.Optimizer", line))
    trained = list(held(nnx.state(model, optimizer.wrt)))
    params = list(held(nnx.state(model, nnx.Param)))
    if trained != params:
        seen = f"its wrt matches {listed(trained)}"
        raise Stop(Finding("wrt", "grouped_optimizer", seen, ", ".join(params), line))
    return _moved(model, optimizer)


def _moved(model: nnx.Module, optimizer: nnx.Optimizer[Any]) -> dict[str, float]:
    """Return how far a gradient of one moves each Param."""
    params = nnx.state(model, nnx.Param)
    before = {path: np.array(content(leaf)) for path, leaf in held(params).items()}
    optimizer.update(model, jax.tree.map(jnp.ones_like, params))
    now = held(nnx.state(model, nnx.Param))
    return {path: float((old - np.asarray(content(now[path]))).mean()) for path, old in before.items()}
