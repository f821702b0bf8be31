"""Checks of the exercise Optimizer state.

Each of the three functions is a part of its own. The decay is measured by a step with gradients of zero, where Params
of known numbers move by the decay alone, and the rest of AdamW by a step with other gradients. The rate is measured by
compiled steps, and what is carried over by the numbers in the state of two optimizers, all of which differ.
"""

import contextlib
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state.practice.findings import Finding, told
from nnx_state.practice.formulas import first_that_holds
from nnx_state.practice.lines import raising_line
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import needs, part
from nnx_state.practice.state import copied, held
from nnx_state.practice.trials import tried
from nnx_state.practice.values import close, content, describe, listed, numbers, ramp

RATE, DECAY = 0.25, 0.5


class Layer(nnx.Module):
    """A layer with a kernel and a bias."""

    def __init__(self, inputs: int = 3, outputs: int = 2) -> None:
        self.kernel = nnx.Param(ramp(1.0, 2.0, inputs, outputs))
        self.bias = nnx.Param(ramp(3.0, 4.0, outputs))


class Model(nnx.Module):
    """Kernels at two depths, in a list as well, other Params of one and of two axes, and state that is no Param."""

    def __init__(self) -> None:
        self.kernel = nnx.Param(ramp(5.0, 6.0, 4))
        self.table = nnx.Param(ramp(7.0, 8.0, 4, 2))
        self.layers = nnx.List([Layer(), Layer()])
        self.count = nnx.Variable(jnp.array(0))
        self.mean = nnx.BatchStat(ramp(1.0, 2.0, 2))


KERNELS = ["kernel", "layers.0.kernel", "layers.1.kernel"]


def decay(attempt: Attempt) -> Iterator[Finding]:
    """A step with gradients of zero shrinks the kernels, and nothing else."""
    attempt.function("kernel_decay", "model", "rate", "decay")
    line = attempt.line("kernel_decay")
    model = Model()
    optimizer = _optimizer(attempt, model, line)
    before = copied(nnx.state(model, nnx.Param))
    _update(attempt, model, optimizer, jnp.zeros_like, line)
    after = copied(nnx.state(model, nnx.Param))
    shrunk = [path for path, number in before.items() if not close(after[path], number)]
    if shrunk != KERNELS:
        yield Finding(
            _decays(shrunk, list(before)), "kernel_decay", f"it reaches {listed(shrunk)}", listed(KERNELS), line
        )
        return
    share = float((after["kernel"] / before["kernel"]).mean())
    if not close(share, 1 - RATE * DECAY):
        seen = f"one step leaves {share:.4g} of a kernel"
        yield Finding("amount", "kernel_decay", seen, f"{1 - RATE * DECAY:.4g}: 1 - rate * decay", line)


@needs(decay)
def rule(attempt: Attempt) -> Iterator[Finding]:
    """With other gradients, two steps are those of AdamW."""
    line = attempt.line("kernel_decay")
    model, known = Model(), Model()
    optimizer = _optimizer(attempt, model, line)
    mask = nnx.from_flat_state(
        {path: path[-1] == "kernel" for path, _ in nnx.to_flat_state(nnx.state(known, nnx.Param))}
    )
    reference = nnx.Optimizer(known, optax.adamw(RATE, weight_decay=DECAY, mask=mask), wrt=nnx.Param)
    for slope in (jnp.cos, jnp.sin):
        for each, its in ((model, optimizer), (known, reference)):
            _update(attempt, each, its, slope, line)
    seen, wanted = copied(nnx.state(model, nnx.Param)), copied(nnx.state(known, nnx.Param))
    if other := [path for path in wanted if not close(seen[path], wanted[path])]:
        path = other[0]
        text = f"after two steps `{path}` is {numbers(seen[path])}"
        yield Finding("rule", "kernel_decay", text, f"{numbers(wanted[path])}, as by `optax.adamw`", line)


@needs(decay)
def rate(attempt: Attempt) -> Iterator[Finding]:
    """The next compiled step moves a Param by the rate that was set, and is not compiled again."""
    attempt.function("set_rate", "optimizer", "rate")
    line = attempt.line("set_rate")
    model = Layer()
    optimizer = _optimizer(attempt, model, line)
    traced: list[None] = []

    @nnx.jit
    def step(model: Layer, optimizer: nnx.Optimizer[Any]) -> None:
        traced.append(None)
        optimizer.update(model, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param)))

    step(model, optimizer)
    first = len(traced)
    for wanted in (0.125, 0.0):
        kept = _memory(optimizer)
        attempt.call("set_rate(optimizer, rate)", optimizer=optimizer, rate=wanted)
        lost = [path for path, value in _memory(optimizer).items() if not close(value, kept.get(path))]
        if lost or kept.keys() != _memory(optimizer).keys():
            seen = f"`set_rate` changes {listed(lost[:3])}" if lost else "the state has other leaves after `set_rate`"
            raise Stop(Finding("memory", "set_rate", seen, "the moments and counts from before", line))
        before = np.array(content(model.bias))
        step(model, optimizer)
        moved = float((before - np.asarray(content(model.bias))).mean())  # with gradients of one, the rate itself
        if abs(moved - wanted) > 1e-4:
            raise Stop(_ineffective(wanted, moved, line))
    if more := len(traced) - first:
        measured = f"Two steps with two rates were compiled {more} times more."
        yield Finding("retraced", "set_rate", f"{more} traces after the first", "none", line, measured)


def carried(attempt: Attempt) -> Iterator[Finding]:
    """What fits is in the new optimizer, what does not fit is as it was, and the two share nothing."""
    attempt.function("carry_over", "old", "new")
    yield from ()
    _carry(attempt, _adam(Layer(), 1), _adam(Layer(), 100))
    _carry(attempt, _adam(Layer(), 1), _adam(Model(), 100))
    _carry(attempt, _adam(Model(), 1), _adam(Layer(), 100))
    for changed in (Layer(3, 1), Layer(1, 2)):  # their numbers would broadcast
        _carry(attempt, _adam(Layer(), 1), _adam(changed, 100))


STAGES = (*part(decay, rule, rate), *part(carried))


def _optimizer(attempt: Attempt, model: nnx.Module, line: int | None) -> nnx.Optimizer[Any]:
    """Return the optimizer of the attempt for a model, which trains its Params."""
    with _fitting_masks(attempt, line):
        optimizer = attempt.call("kernel_decay(model, rate, decay)", model=model, rate=RATE, decay=DECAY)
    if not isinstance(optimizer, nnx.Optimizer):
        raise Stop(Finding("result-type", "kernel_decay", describe(optimizer), "an nnx.Optimizer", line))
    trained, params = list(held(nnx.state(model, optimizer.wrt))), list(held(nnx.state(model, nnx.Param)))
    if trained != params:
        raise Stop(Finding("wrt", "kernel_decay", f"its wrt matches {listed(trained)}", listed(params), line))
    return optimizer


def _update(
    attempt: Attempt, model: nnx.Module, optimizer: nnx.Optimizer[Any], slope: Callable[[Any], Any], line: int | None
) -> None:
    """Take a step with gradients that are a function of the Params."""
    grads = jax.tree.map(slope, nnx.state(model, nnx.Param))
    with _fitting_masks(attempt, line), attempt.does("a step of the optimizer that `kernel_decay` returns"):
        optimizer.update(model, grads)


@contextlib.contextmanager
def _fitting_masks(attempt: Attempt, line: int | None) -> Iterator[None]:
    """Say which mask it is that Optax cannot apply.

    Raises:
        Stop: If there is one.
    """
    try:
        yield
    except Exception as error:
        kinds = {"different types at key path": "mask-of-params", "different numbers of": "mask-of-others"}
        kind = next((kind for text, kind in kinds.items() if text in str(error)), "")
        if _ran_a_schedule(error):
            kind, line = "mask-as-schedule", raising_line(attempt.path, error)
        if not kind:
            raise
        raise Stop(Finding(kind, "kernel_decay", f"Optax met {told(error, 100)}", "a step", line)) from None


def _ran_a_schedule(error: Exception) -> bool:
    """Tell whether an error comes from something that `optax.inject_hyperparams` called with a number of steps."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).name == "_inject.py" and frame.name == "__call__" for frame in frames)


def _decays(shrunk: list[str], params: list[str]) -> str:
    """Return what the set of Params that decay tells of the mask."""
    cases = {
        "none": not shrunk,
        "all": shrunk == params,
        "inverted": sorted(shrunk) == sorted(set(params) - set(KERNELS)),
        "by-shape": shrunk == ["layers.0.kernel", "layers.1.kernel", "table"],
        "at-the-top": shrunk == ["kernel"],
    }
    return first_that_holds(cases, otherwise="others")


def _memory(optimizer: nnx.Optimizer[Any]) -> dict[str, np.ndarray]:
    """Return the moments and counts; numbers of the rule, such as its rate, are floats of no axis."""
    return {path: value for path, value in copied(optimizer).items() if value.ndim or value.dtype.kind in "iu"}


def _ineffective(wanted: float, moved: float, line: int | None) -> Finding:
    """Tell why a step moves a Param by another rate than the one that was set."""
    kind = "no-effect" if close(moved, RATE) else "other-rate"
    seen = f"with the rate {wanted:.4g} a gradient of one moves the bias by {moved:.4g}"
    return Finding(kind, "set_rate", seen, f"{wanted:.4g}", line)


def _adam(model: nnx.Module, first: int) -> nnx.Optimizer[Any]:
    """Return an optimizer by Adam whose state holds numbers that no other optimizer of these checks has."""
    optimizer = nnx.Optimizer(model, optax.adam(RATE), wrt=nnx.Param)
    for number, leaf in enumerate(held(optimizer).values(), start=first):
        shape, dtype = np.shape(content(leaf)), content(leaf).dtype
        leaf.set_value(jnp.array((number + np.linspace(0.0, 0.5, int(np.prod(shape)))).reshape(shape), dtype))
    return optimizer


def _carry(attempt: Attempt, old: nnx.Optimizer[Any], new: nnx.Optimizer[Any]) -> None:
    """Carry over from one optimizer to another, and compare both with what they should hold then.

    Raises:
        Stop: If one of the two holds anything else.
    """
    line = attempt.line("carry_over")
    given, before = copied(old), copied(new)
    fits = [path for path, value in before.items() if path in given and given[path].shape == value.shape]
    wanted = before | {path: given[path] for path in fits}
    failures = {"KeyError": "missing-path", "broadcast": "shapes", "Incompatible shapes": "shapes"}
    tried(attempt, "carry_over(old, new)", "carry_over", failures, line, old=old, new=new)
    after = copied(new)
    if after.keys() != before.keys():
        others = sorted(after.keys() ^ before.keys())
        raise Stop(
            Finding("paths", "carry_over", f"`new` has gained or lost {listed(others[:3])}", "its own paths", line)
        )
    other = [path for path, value in wanted.items() if not _equal(after[path], value)]
    if other:
        counts = [path for path in fits if not before[path].shape]
        misfits = [path for path in other if path not in fits]
        cases = {
            "shapes": bool(misfits),
            "nothing": other == fits,
            "counts": other == counts,
            "step": other == ["step"],
            "moments": other == [path for path in fits if path not in counts],
        }
        path = (misfits or other)[0]
        seen = f"`{path}` of `new` is {_shown(after[path])}"
        raise Stop(Finding(first_that_holds(cases, "others"), "carry_over", seen, _shown(wanted[path]), line))
    if changed := [path for path, value in copied(old).items() if not _equal(value, given[path])]:
        raise Stop(Finding("old-changed", "carry_over", f"`{changed[0]}` of `old` is another", "as it was", line))
    for leaf in held(new).values():
        leaf.set_value(jnp.zeros_like(content(leaf)))
    if shared := [path for path, value in copied(old).items() if not _equal(value, given[path])]:
        seen = f"a write into `{shared[0]}` of `new` changed that of `old`"
        raise Stop(Finding("shared", "carry_over", seen, "two Variables", line))


def _equal(seen: np.ndarray, wanted: np.ndarray) -> bool:
    return seen.shape == wanted.shape and bool((seen == wanted).all())


def _shown(value: np.ndarray) -> str:
    return f"{list(value.shape)} {numbers(value)}" if value.ndim else numbers(value)
