"""Checks of the exercise Training."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, close, content, describe, numbers

RATE = 0.1
X = jnp.array([1.0, -2.0, 0.5])


class Scale(nnx.Param[Any]):
    """A type of Param of its own, for filters by type."""


class Layer(nnx.Module):
    """A layer with two Params, a float statistic and an integer counter."""

    def __init__(self) -> None:
        self.kernel = nnx.Param(jnp.linspace(-1.0, 1.0, 6).reshape(3, 2))
        self.bias = Scale(jnp.zeros(2))
        self.mean = nnx.BatchStat(jnp.array([0.5, -0.5]))
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
                asked.append(sorted(_paths(grads)))
                return super().update(model, grads, **kwargs)

        self.attempt, self.asked, self.loss, self.model = attempt, asked, Loss(), Layer()
        self.optimizer = Watched(self.model, optax.sgd(RATE), wrt=wrt)

    def step(self, batch: str = "x", **names: Any) -> Any:
        """Call `train_step` of the attempt once."""
        call = f"train_step(model, optimizer, loss_fn{', ' if batch else ''}{batch})"
        given = {"model": self.model, "optimizer": self.optimizer, "loss_fn": self.loss, "x": X}
        return self.attempt.call(call, **given | names)


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    for more in ((), ("x",), ("x", "y")):
        attempt.function("train_step", "model", "optimizer", "loss_fn", *more)
    attempt.function("grouped_optimizer", "model", "groups")
    yield from ()


def one_step(attempt: Attempt) -> Iterator[Finding]:
    """One step moves the Params by the gradient, keeps the count and returns the loss from before."""
    trial, line = Trial(attempt), attempt.line("train_step")
    model, kernel = trial.model, trial.model.kernel
    first, slopes = nnx.jit(nnx.value_and_grad(lambda model: Loss()(model)))(Layer())
    try:
        loss = trial.step()
    except TypeError as error:
        kinds = {"as an abstract array": "loss-traced", "grad requires real": "every-leaf"}
        kind = next((kind for text, kind in kinds.items() if text in str(error)), "")
        if not kind:
            raise
        seen = f"TypeError: {str(error).splitlines()[0].split(' (')[0].split('(f=')[0]}"
        raise Stop(Finding(kind, "train_step", seen, "a step", line)) from None
    change, wanted = content(model.kernel) - Layer().kernel, -RATE * slopes["kernel"]
    if not np.any(change):
        raise Stop(_stuck(attempt, line))
    if (steps := trial.optimizer.step[...]) != 1:
        seen, kind = f"after one call optimizer.step is {steps}", "steps" if steps else "optimizer-unused"
        raise Stop(Finding(kind, "train_step", seen, "1", line))
    if model.kernel is not kernel:
        raise Stop(Finding("replaced", "kernel", describe(model.kernel), "the Param from before", line))
    if not close(change, wanted):
        seen = f"the kernel moved by {numbers(change)}"
        raise Stop(Finding("update", "train_step", seen, f"{numbers(wanted)}, once down the slope", line))
    if (count := model.count[...]) != 1:
        seen, kind = f"the count of the loss is {count} after one step", "loss-twice" if count > 1 else "writes-lost"
        measured = f"The loss counts its calls in the model: after one step the count is {count}."
        yield Finding(kind, "train_step", seen, "1", line, measured)
    after = Loss()(model)
    if not (isinstance(loss, jax.Array | np.ndarray | float) and np.shape(loss) == ()):
        yield Finding("result-type", "train_step", f"it returns {describe(loss)}", "the loss, a scalar", line)
    elif not close(loss, first):
        kind = "loss-after" if close(loss, after) else "result-value"
        seen = f"{loss:.4g}, where the loss is {first:.4g} before the update and {after:.4g} after it"
        yield Finding(kind, "train_step", seen, f"{first:.4g}", line)


def compiled(attempt: Attempt) -> Iterator[Finding]:
    """Later steps run no Python of the loss."""
    trial, line = Trial(attempt), attempt.line("train_step")
    for _ in range(2):
        trial.step()
    before = len(trial.loss.given)
    for _ in range(3):
        trial.step()
    if more := len(trial.loss.given) - before:
        kind = "retraced" if any(isinstance(x, jax.core.Tracer) for x in trial.loss.given[-1]) else "not-compiled"
        measured = f"Three more steps with the same shapes ran the Python code of the loss {more} times."
        yield Finding(kind, "train_step", f"Python runs {more} times in 3 steps", "compiled code", line, measured)


def gradients(attempt: Attempt) -> Iterator[Finding]:
    """The gradient is asked for exactly what the optimizer trains."""
    line = attempt.line("train_step")
    filters: dict[str, Any] = {'nnx.PathContains("bias")': nnx.PathContains("bias"), "nnx.BatchStat": nnx.BatchStat}
    for text, wrt in filters.items():
        trial, error = Trial(attempt, wrt), ""
        wanted = sorted(_paths(nnx.state(trial.model, wrt)))
        try:
            trial.step()
        except ValueError as raised:
            error = f" and raised ValueError: {str(raised).splitlines()[0]}"
        if trial.asked and trial.asked[0] != wanted:
            kind = "gradient-wider" if set(trial.asked[0]) > set(wanted) else "gradient-other"
            seen = f"for wrt={text} it asked for {', '.join(trial.asked[0]) or 'nothing'}{error}"
            sizes = [sum(getattr(trial.model, path).size for path in paths) for paths in (trial.asked[0], wanted)]
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
        trial.step(batch, y=2 * X)
        if not trial.loss.given:
            raise Stop(Finding("other-loss", "train_step", "another loss function was not called", "its loss", line))
        if len(trial.loss.given[0]) != size:
            seen = f"of a batch of {size} arrays the loss gets {len(trial.loss.given[0])}"
            raise Stop(Finding("batch", "train_step", seen, f"{size} arrays", line))
    yield from ()


def groups(attempt: Attempt) -> Iterator[Finding]:
    """Each Param moves with the rate of the first filter that matches it."""
    line = attempt.line("grouped_optimizer")
    model = nnx.Dict(first=Layer(), second=Layer())
    rates = {"first.bias": 1.0, "first.kernel": 1.0, "second.bias": 0.1, "second.kernel": 0.01}
    paths = {nnx.PathContains("first"): 1.0, nnx.PathContains("bias"): 0.1, nnx.PathContains("kernel"): 0.01}
    seen = _rates(attempt, model, paths, line)
    if not close(list(seen.values()), list(rates.values())):
        overlap = close([seen["second.bias"], seen["second.kernel"]], [0.1, 0.01])
        last = close([seen["first.bias"], seen["first.kernel"]], [0.1, 0.01])
        kind = ("last-wins" if last else "overlap") if overlap else "rates"
        yield Finding(kind, "grouped_optimizer", _listed(seen), _listed(rates), line)
        return
    seen, rates = _rates(attempt, Layer(), {Scale: 1.0, ...: 0.1}, line), {"bias": 1.0, "kernel": 0.1}
    if not close(list(seen.values()), list(rates.values())):
        text = f"for the groups Scale and `...`, where the bias is a Scale: {_listed(seen)}"
        yield Finding("types", "grouped_optimizer", text, _listed(rates), line)


def unmatched(attempt: Attempt) -> Iterator[Finding]:
    """A Param without a group raises ValueError, and is named."""
    model, line = Layer(), attempt.line("grouped_optimizer")
    chosen, expected = {nnx.PathContains("bias"): optax.sgd(1.0)}, "ValueError that names the kernel"
    case = "the kernel is in no group"
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


STAGES = (names, one_step, compiled, gradients, batches, groups, unmatched)


def _paths(node: Any) -> list[str]:
    return [".".join(map(str, path)) for path, _ in nnx.to_flat_state(nnx.state(node))]


def _listed(rates: dict[str, float]) -> str:
    return ", ".join(f"{path} {rate:.4g}" for path, rate in rates.items())


def _stuck(attempt: Attempt, line: int | None) -> Finding:
    """Tell why a step leaves the model alone: does it move when nothing is compiled?"""
    trial, eager = Trial(attempt), Trial(attempt)
    losses = ", ".join(numbers(loss) if np.ndim(loss := trial.step()) == 0 else describe(loss) for _ in range(3))
    with jax.disable_jit():
        eager.step()
    kind = "not-updated" if close(eager.model.kernel[...], Layer().kernel[...]) else "jax-jit"
    measured = f"Three steps returned {losses}."
    return Finding(kind, "train_step", "the kernel is the same after the step", "a kernel that moved", line, measured)


def _rates(attempt: Attempt, model: nnx.Module, rates: dict[Any, float], line: int | None) -> dict[str, float]:
    """Return the rate with which the optimizer of the attempt moves each Param."""
    chosen = {wanted: optax.sgd(rate) for wanted, rate in rates.items()}
    try:
        optimizer = attempt.call("grouped_optimizer(model, groups)", model=model, groups=chosen)
    except ValueError as error:
        seen = f"every Param has a group, and it raised ValueError: {str(error).splitlines()[0]}"
        raise Stop(Finding("refused", "grouped_optimizer", seen, "an optimizer", line)) from None
    if not isinstance(optimizer, nnx.Optimizer):
        raise Stop(Finding("result-type", "grouped_optimizer", describe(optimizer), "an nnx.Optimizer", line))
    trained, params = _paths(nnx.state(model, optimizer.wrt)), _paths(nnx.state(model, nnx.Param))
    if trained != params:
        seen = f"its wrt matches {', '.join(trained) or 'nothing'}"
        raise Stop(Finding("wrt", "grouped_optimizer", seen, ", ".join(params), line))
    return _moved(model, optimizer)


def _moved(model: nnx.Module, optimizer: nnx.Optimizer[Any]) -> dict[str, float]:
    """Return how far a gradient of one moves each Param."""
    params = nnx.state(model, nnx.Param)
    before = {path: leaf[...] for path, leaf in nnx.to_flat_state(params)}
    optimizer.update(model, jax.tree.map(jnp.ones_like, params))
    now = dict(nnx.to_flat_state(nnx.state(model, nnx.Param)))
    return {".".join(map(str, path)): float((old - now[path]).mean()) for path, old in before.items()}
