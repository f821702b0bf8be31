"""Checks of the exercise Randomness.

Each part is tried apart from the others: the stream that the layer holds and what it draws from it, a compiled call, a
call that is mapped over rows, and what is saved. The last three get a model of the checks, so that they do not depend
on the layer of the attempt. A loop over the rows is found by how many Python functions each row more runs: whether the
loop compiles the model makes no difference.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state import python_calls
from nnx_state.practice.damage import shown
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import first_that_holds
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import own_attributes
from nnx_state.practice.stages import apart
from nnx_state.practice.state import copied
from nnx_state.practice.trials import tried
from nnx_state.practice.values import array_of, close, describe, numbers, ramp, raw, spec

RATE, X = 0.25, np.arange(1.0, 65.0, dtype=np.float32).reshape(4, 16)
SEEDS = {"params": 1, "dropout": 7}
ROWS, FEWER, WIDTH = 8, 3, 32
LOOP = 5  # Python functions for each row more: a map runs none, the shortest loop that we know 23, a usual one 650
AXES = ("vmap was requested", "inconsistent sizes", "fold_in accepts", "No axis found", "Non-exhaustive", "axis spec")
RAN: list[tuple[bool, int]] = []  # of each run of Noisy: whether it was traced, and the axes of its input


class Half(nnx.Module):
    """A dropout of half of 32 numbers, by the bits of a key: that compiles faster than random numbers."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.rngs = rngs.dropout.fork()
        self.deterministic = False

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return some of the numbers of `x` twofold, and zero for the others; in eval mode return `x`."""
        if self.deterministic:
            return x
        bits = jax.random.key_data(self.rngs())[0]
        kept = (bits >> np.arange(WIDTH, dtype=np.uint32)) & 1
        return jnp.where(kept == 1, 2 * x, 0)


class Noisy(nnx.Module):
    """A model that takes one example, with a Param, a count and a dropout."""

    def __init__(self, seed: int = 0) -> None:
        self.weight = nnx.Param(array_of(np.full(WIDTH, seed + 3.0, np.float32)))
        self.calls = nnx.Variable(array_of(np.zeros((), np.float32)))
        self.dropout = Half(nnx.Rngs(seed))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return some of the numbers of `x` times six, and zero for the others."""
        RAN.append((isinstance(x, jax.core.Tracer), x.ndim))
        self.calls[...] += 1
        return self.dropout(x * self.weight)


@nnx.jit
def compiled(model: Noisy, x: jax.Array) -> jax.Array:
    """Call a model of the checks, for comparison."""
    return model(x)


def masks(outputs: Any) -> int:
    """Return how many of some outputs for the same numbers are different."""
    return len(np.unique(np.asarray(outputs).reshape(len(outputs), -1), axis=0))


@apart
def stream(attempt: Attempt) -> Iterator[Finding]:
    """The layer holds a fork of the right stream, is in training, and draws from it as NNX's Dropout does."""
    if issubclass(attempt.module_class("Dropout", "rate", "rngs"), nnx.Dropout):
        seen = "`Dropout` is an nnx.Dropout"
        raise Stop(Finding("library", "Dropout", seen, "a layer written in this file", attempt.line("Dropout")))
    given, what = nnx.Rngs(**SEEDS), f"Dropout({RATE}, rngs=rngs)"
    layer, twin = (attempt.call(what, rngs=given) for _ in range(2))
    for name in ("rngs", "deterministic"):
        if not hasattr(layer, name):
            seen = f"the layer has {', '.join(own_attributes(layer))}"
            line = attempt.line("__init__", "Dropout")
            raise Stop(Finding("missing", name, seen, f"`{name}`", line))
    _forked(attempt, layer, twin, given)
    if layer.deterministic is not False:
        seen, line = describe(layer.deterministic), attempt.line("deterministic")
        raise Stop(Finding("value", "deterministic", seen, "False", line))
    tried(attempt, f"Dropout({RATE}, rngs=nnx.Rngs(0))", "rngs", {"": "default"}, nnx=nnx)
    yield from _training(attempt, layer)
    yield from _evaluation(attempt, layer)


@apart
def calling(attempt: Attempt) -> Iterator[Finding]:
    """A call is compiled once, and draws a new mask each time."""
    attempt.function("call", "model", "x")
    model = Noisy()
    line = attempt.line("call")
    x = ramp(1.0, WIDTH, WIDTH)
    reference = Noisy()
    wanted = [compiled(reference, x) for _ in range(3)]
    RAN.clear()
    outputs = [attempt.call("call(model, x)", model=model, x=x) for _ in range(3)]
    if not isinstance(outputs[0], jax.Array):
        raise Stop(Finding("result-type", "call", f"`call` returns {describe(outputs[0])}", "an array", line))
    if masks(outputs) < 3 and not np.all(outputs):
        seen = f"different masks in three calls: {masks(outputs)}"
        measured = f"After three calls the stream of the model has counted {model.dropout.rngs.count[...]}."
        yield Finding("same-mask", "call", seen, "3", line, measured)
    elif not all(map(close, outputs, wanted)):
        yield Finding("result-value", "call", numbers(outputs[0]), numbers(wanted[0]), line)
    seen = f"in three calls Python ran the model {len(RAN)} times"
    if not any(traced for traced, _ in RAN):
        yield Finding("uncompiled", "call", f"{seen}, untraced", "one trace", line)
    elif len(RAN) > 2:
        yield Finding("retraced", "call", seen, "one trace", line)


@apart
def mapping(attempt: Attempt) -> Iterator[Finding]:
    """Every row has a mask of its own, and the streams are as before."""
    attempt.function("per_example", "model", "batch")
    model = Noisy()
    line = attempt.line("per_example")
    what = "per_example(model, batch)"
    batch = jnp.ones((ROWS, WIDTH))
    RAN.clear()
    y = tried(attempt, what, "per_example", dict.fromkeys(AXES, "axes"), model=model, batch=batch)
    if not isinstance(y, jax.Array) or y.shape != batch.shape:
        raise Stop(Finding("result-shape", "per_example", f"it returns {spec(y)}", spec(batch), line))
    if any(axes != 1 for _, axes in RAN):
        raise Stop(Finding("unmapped", "per_example", "the model was given the whole batch", "one row", line))
    if looped := len(RAN) >= ROWS:
        yield Finding("loop", "per_example", f"the model ran {len(RAN)} times", "one run for all rows", line)
    outputs = np.asarray(y)
    if masks(outputs) < ROWS:
        alike = (outputs == outputs[0]).all(axis=0).sum()
        measured = f"In {alike} of {WIDTH} columns all rows were kept, or all dropped."
        seen = f"{masks(outputs)} mask for {ROWS} rows"
        yield Finding("same-mask", "per_example", seen, f"{ROWS} masks", line, measured)
    elif other := np.setdiff1d(outputs, (0.0, 6.0)).tolist():
        yield Finding("result-value", "per_example", f"also {numbers(other)}", "0 or 6, as the model gives", line)
    rngs = model.dropout.rngs
    if rngs.key.shape != () or rngs.count.shape != ():
        seen = f"then the key is {spec(rngs.key[...])}"
        measured = shown(_next_output, model, batch[0], subject="The next call")
        raise Stop(Finding("keys", "per_example", seen, "one", line, measured))
    with attempt.does(f"`{what}`"):
        taken, again = _counted(attempt.module.per_example, model, batch)
    if masks(outputs) == ROWS and masks([outputs, again]) == 1:
        yield Finding("repeats", "per_example", "two calls give the same 8 masks", "16 masks", line)
    fewer = f"per_example(model, batch[:{FEWER}])"
    tried(attempt, fewer, "per_example", dict.fromkeys(AXES, "size"), model=model, batch=batch)
    rows = (taken - _counted(attempt.module.per_example, model, batch[:FEWER])[0]) / (ROWS - FEWER)
    if rows > LOOP and not looped:
        seen = f"each row more calls {rows:.0f} more Python functions"
        yield Finding("loop", "per_example", seen, "one run for all rows", line)


@apart
def saving(attempt: Attempt) -> Iterator[Finding]:
    """What is saved is all state, and stays as it is."""
    attempt.function("save", "model")
    line, x = attempt.line("save"), jnp.ones(WIDTH)
    model, resumed = Noisy(seed=0), Noisy(seed=1)
    compiled(model, x)
    now, saved = copied(model), attempt.call("save(model)", model=model)
    if not isinstance(saved, nnx.State):
        raise Stop(Finding("result-type", "save", f"`save` returns {describe(saved)}", "an nnx.State", line))
    before = copied(saved)
    outputs = [compiled(model, x) for _ in range(2)]
    after = copied(saved)
    moved = [path for path in before if not np.array_equal(before[path], after[path])]
    if moved:
        path = moved[-1]
        seen = f"the saved {path} goes from {numbers(before[path])} to {numbers(after[path])}"
        measured = f"Two calls later {len(moved)} of {len(before)} saved values were others."
        yield Finding("shared", "save", seen, "saved values stay", line, measured)
    if missing := [path for path in now if path not in before]:
        kind = "randomness" if all("rngs" in path for path in missing) else "missing"
        measured = "" if moved else _resumed(resumed, saved, x, outputs)
        yield Finding(kind, "save", f"nothing at {', '.join(missing)}", "all state", line, measured)
    for path, value in now.items():
        if path in before and not np.array_equal(value, before[path]):
            yield Finding("value", "save", f"{path} is {numbers(before[path])}", numbers(value), line)
            return


STAGES = (stream, calling, mapping, saving)


def _counted(function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """Return how many Python functions a call runs, and what it returns."""
    returned: list[Any] = []
    taken = python_calls(lambda: returned.append(function(*arguments)))
    return taken, returned[-1]


def _forked(attempt: Attempt, layer: Any, twin: Any, given: nnx.Rngs) -> None:
    """Look at the stream of a layer, and of another that was built after it from the same streams.

    Raises:
        Stop: If it is no fork of the stream `dropout`.
    """
    rngs, line = layer.rngs, attempt.line("rngs", "Dropout")

    def other(kind: str, seen: str, does: Callable[[], str] = str) -> Stop:
        measured = shown(does, subject="The next call")
        return Stop(Finding(kind, "rngs", seen, "a fork of the stream dropout", line, measured))

    def moved() -> str:
        _drawn([layer] * 3)
        return f"Three calls of the layer moved the count of the given stream to {given.dropout.count[...]}."

    if rngs is given or rngs is given.dropout:
        raise other("shared", f"`rngs` is the {type(rngs).__name__} that was given", moved)
    if isinstance(rngs, (jax.Array, nnx.Variable)):
        raise other("key", f"`rngs` is {describe(rngs)}", lambda: f"Three calls drew {_drawn([layer] * 3)} mask.")
    if not isinstance(rngs, nnx.RngStream):
        raise other("all" if isinstance(rngs, nnx.Rngs) else "object", f"`rngs` is {describe(rngs)}")
    key = raw(rngs.key)
    if np.array_equal(key, raw(twin.rngs.key)):
        seeded = attempt.call(f"Dropout({RATE}, rngs=rngs)", rngs=nnx.Rngs(params=2, dropout=8))
        kind = "seed" if np.array_equal(key, raw(seeded.rngs.key)) else "copied"
        drew = "Two layers, built in turn, drew"
        raise other(kind, "two layers have one key", lambda: f"{drew} {_drawn([layer, twin])} mask.")
    forks = {name: raw(nnx.Rngs(**SEEDS)[name].fork().key) for name in SEEDS}
    if np.array_equal(key, forks["params"]):
        raise other("stream", "`rngs` is a fork of `params`")
    if not np.array_equal(key, forks["dropout"]):
        raise other("value", "`rngs` has another key")


def _training(attempt: Attempt, layer: Any) -> Iterator[Finding]:
    """In training the outputs are those of NNX's Dropout, in the dtype of the input."""
    line, x = attempt.line("__call__", "Dropout"), array_of(X)
    reference = nnx.Dropout(RATE, rngs=nnx.Rngs(**SEEDS))
    outputs = [attempt.call("dropout(x)", dropout=layer, x=x) for _ in range(3)]
    wanted = [np.asarray(reference(x)) for _ in range(3)]
    if not isinstance(outputs[0], jax.Array) or outputs[0].shape != X.shape:
        raise Stop(Finding("result-shape", "Dropout", f"it returns {spec(outputs[0])}", spec(X), line))
    if not all(map(close, outputs, wanted)):
        y = np.asarray(outputs[0])
        kind, measured = _mistaken_dropout(y, masks(outputs), wanted[0] != 0)
        seen = f"{numbers(y)} from {numbers(X)}"
        expected = f"{numbers(wanted[0])}, as nnx.Dropout"
        raise Stop(Finding(kind, "Dropout", seen, expected, line, measured))
    half = attempt.call("dropout(x)", dropout=layer, x=array_of(X.astype(jnp.bfloat16)))
    if half.dtype != jnp.bfloat16:
        yield Finding("dtype", "Dropout", f"{half.dtype} from a bfloat16 input", "bfloat16", line)


def _evaluation(attempt: Attempt, layer: Any) -> Iterator[Finding]:
    """In eval mode the outputs are the inputs, and nothing is drawn."""
    line, before = attempt.line("__call__", "Dropout"), int(layer.rngs.count[...])
    attempt.call("dropout.eval()", dropout=layer)
    y = attempt.call("dropout(x)", dropout=layer, x=array_of(X))
    if not close(y, X):
        kind = "scaled" if np.all(y) else "dropped"
        yield Finding(kind, "eval", f"{numbers(y)} from {numbers(X)}", "the input", line)
    if drawn := int(layer.rngs.count[...]) - before:
        yield Finding("draws", "eval", f"a call in eval mode draws {drawn} key", "none", line)


def _mistaken_dropout(y: np.ndarray, different: int, kept: np.ndarray) -> tuple[str, str]:
    """Return the kind of a training output that is another one, and what it does.

    Args:
        y: the output for `X`.
        different: how many masks three calls have drawn.
        kept: which numbers NNX's Dropout keeps.
    """
    seen, ratios = y != 0, (y / X)[y != 0]
    flipped = np.asarray(nnx.Rngs(**SEEDS).dropout.fork().bernoulli(RATE, X.shape))
    kinds = {
        "off": close(y, X),
        "same-mask": different == 1,
        "unscaled": close(y, np.where(kept, X, 0)),
        "inverted": np.array_equal(seen, ~kept) or np.array_equal(seen, flipped),
        "scale": np.array_equal(seen, kept),
        "one-number": close(y, X / (1 - RATE)) or not seen.any(),
        "broadcast": not seen.all() and ((seen == seen[:1]).all() or (seen == seen[:, :1]).all()),
        "other-mask": close(ratios, np.full_like(ratios, 1 / (1 - RATE))),
    }
    sums = f"their sum is {y.sum() / X.sum():.2f} times that of the input; different masks in three calls: {different}"
    measured = f"At a rate of {RATE} it keeps {seen.mean():.0%} of the numbers, {sums}."
    return first_that_holds(kinds, otherwise="formula"), measured


def _drawn(layers: list[Any]) -> int:
    """Call each layer with the same numbers, and return how many masks they have drawn."""
    return masks([layer(array_of(X)) for layer in layers])


def _next_output(model: Noisy, example: jax.Array) -> str:
    return f"The next call of the model gives {spec(model(example))}."


def _resumed(model: Noisy, saved: Any, x: jax.Array, outputs: list[jax.Array]) -> str:
    """Go on from what was saved, and say how much of that is as without the stop."""
    nnx.update(model, saved)
    equal = sum(close(compiled(model, x), output) for output in outputs)
    return f"A run that went on from it had {equal} of the next {len(outputs)} outputs right."
