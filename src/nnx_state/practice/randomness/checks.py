"""Checks of the exercise Randomness."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state._paths import leaves
from nnx_state.practice.findings import Finding, told
from nnx_state.practice.probe import Attempt, Stop, close, describe, numbers, spec
from nnx_state.practice.trials import raw, tried

RATE, X = 0.25, np.arange(1.0, 65.0, dtype=np.float32).reshape(4, 16)
SEEDS = {"params": 1, "dropout": 7}
AXES = ("vmap was requested", "inconsistent sizes", "fold_in accepts", "No axis found", "Non-exhaustive", "axis spec")
RAN: list[tuple[bool, int]] = []  # of each run of Noisy: whether it was traced, and the axes of its input


class Noisy(nnx.Module):
    """A model that takes one example, with a Param, a count and a dropout of NNX."""

    def __init__(self, seed: int = 0) -> None:
        self.weight, self.calls = nnx.Param(jnp.full(32, seed + 3.0)), nnx.Variable(jnp.zeros(()))
        self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(seed))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return some of the numbers of `x` times six, and zero for the others."""
        RAN.append((isinstance(x, jax.core.Tracer), x.ndim))
        self.calls[...] += 1
        return self.dropout(x * self.weight)


def masks(outputs: Any) -> int:
    """Return how many of some outputs for the same numbers are different."""
    return len(np.unique(np.asarray(outputs).reshape(len(outputs), -1), axis=0))


def held(tree: Any) -> dict[str, np.ndarray]:
    """Return copies of what the leaves of a model or a State hold, by path."""
    return {path: raw(leaf) for path, leaf in leaves(tree)}


def names(attempt: Attempt) -> Iterator[Finding]:
    """The class and the functions are there."""
    attempt.module_class("Dropout")
    attempt.function("call", "model", "x")
    attempt.function("per_example", "model", "batch")
    attempt.function("save", "model")
    yield from ()


def stream(attempt: Attempt) -> Iterator[Finding]:
    """The layer holds a fork of the right stream, and is in training."""
    line, given, what = attempt.line("rngs", "Dropout"), nnx.Rngs(**SEEDS), f"Dropout({RATE}, rngs=rngs)"
    layer, twin = (attempt.call(what, rngs=given) for _ in range(2))
    for name in ("rngs", "deterministic"):
        if not hasattr(layer, name):
            seen = f"the layer has {', '.join(name for name in vars(layer) if not name.startswith('_'))}"
            raise Stop(Finding("missing", name, seen, f"`{name}`", attempt.line("__init__", "Dropout")))

    def other(kind: str, seen: str, does: Callable[[], str] = str) -> Stop:
        return Stop(Finding(kind, "rngs", seen, "a fork of the stream dropout", line, _shown(does)))

    def moved() -> str:
        _drew([layer] * 3, "")
        return f"Three calls of the layer moved the count of the given stream to {given.dropout.count[...]}."

    if layer.rngs is given or layer.rngs is given.dropout:
        raise other("shared", f"`rngs` is the {type(layer.rngs).__name__} that was given", moved)
    if isinstance(layer.rngs, (jax.Array, nnx.Variable)):
        raise other("key", f"`rngs` is {describe(layer.rngs)}", lambda: _drew([layer] * 3, "Three calls"))
    if not isinstance(layer.rngs, nnx.RngStream):
        kind = "all" if isinstance(layer.rngs, nnx.Rngs) else "object"
        raise other(kind, f"`rngs` is {describe(layer.rngs)}")
    key = raw(layer.rngs.key)
    if np.array_equal(key, raw(twin.rngs.key)):
        seeded = attempt.call(what, rngs=nnx.Rngs(params=2, dropout=8))
        kind = "seed" if np.array_equal(key, raw(seeded.rngs.key)) else "copied"
        raise other(kind, "two layers have one key", lambda: _drew([layer, twin], "Two layers, built in turn,"))
    forks = {name: raw(nnx.Rngs(**SEEDS)[name].fork().key) for name in SEEDS}
    if not np.array_equal(key, forks["dropout"]):
        kind = "stream" if np.array_equal(key, forks["params"]) else "value"
        raise other(kind, "`rngs` is a fork of `params`" if kind == "stream" else "`rngs` has another key")
    if layer.deterministic is not False:
        raise Stop(
            Finding("value", "deterministic", describe(layer.deterministic), "False", attempt.line("deterministic"))
        )
    tried(attempt, f"Dropout({RATE}, rngs=nnx.Rngs(0))", "rngs", {"": "default"}, nnx=nnx)
    yield from _outputs(attempt, layer)


def calling(attempt: Attempt) -> Iterator[Finding]:
    """A call is compiled once, and draws a new mask each time."""
    model, reference, line, x = Noisy(), Noisy(), attempt.line("call"), jnp.arange(1.0, 33.0)
    wanted = [reference(x) for _ in range(3)]
    RAN.clear()
    outputs = [attempt.call("call(model, x)", model=model, x=x) for _ in range(3)]
    if not isinstance(outputs[0], jax.Array):
        raise Stop(Finding("result-type", "call", f"`call` returns {describe(outputs[0])}", "an array", line))
    if masks(outputs) < 3 and not np.all(outputs):
        measured = f"After three calls the stream of the model has counted {model.dropout.rngs.count[...]}."
        yield Finding("same-mask", "call", f"different masks in three calls: {masks(outputs)}", "3", line, measured)
    elif not all(map(close, outputs, wanted)):
        yield Finding("result-value", "call", numbers(outputs[0]), numbers(wanted[0]), line)
    seen = f"in three calls Python ran the model {len(RAN)} times"
    if not any(traced for traced, _ in RAN):
        yield Finding("uncompiled", "call", f"{seen}, untraced", "one trace", line)
    elif len(RAN) > 2:
        yield Finding("retraced", "call", seen, "one trace", line)


def mapping(attempt: Attempt) -> Iterator[Finding]:
    """Every row has a mask of its own, and the streams are as before."""
    model, line, batch, what = Noisy(), attempt.line("per_example"), jnp.ones((8, 32)), "per_example(model, batch)"
    RAN.clear()
    y = tried(attempt, what, "per_example", dict.fromkeys(AXES, "axes"), model=model, batch=batch)
    if not isinstance(y, jax.Array) or y.shape != batch.shape:
        raise Stop(Finding("result-shape", "per_example", f"it returns {spec(y)}", "float32[8, 32]", line))
    if any(axes != 1 for _, axes in RAN):
        raise Stop(Finding("unmapped", "per_example", "the model was given the whole batch", "one row", line))
    if len(RAN) >= len(batch):
        yield Finding("loop", "per_example", f"the model ran {len(RAN)} times", "one run for all rows", line)
    if masks(y) < 8:
        measured = f"In {(np.asarray(y) == y[0]).all(axis=0).sum()} of 32 columns all rows were kept, or all dropped."
        yield Finding("same-mask", "per_example", f"{masks(y)} mask for 8 rows", "8 masks", line, measured)
    elif not np.isin(y, (0.0, 6.0)).all():
        seen = numbers(np.setdiff1d(y, (0, 6)))
        yield Finding("result-value", "per_example", f"also {seen}", "0 or 6, as the model gives", line)
    if (rngs := model.dropout.rngs).key.shape != () or rngs.count.shape != ():
        does = _shown(lambda: f"The next call of the model gives {spec(model(batch[0]))}.")
        raise Stop(Finding("keys", "per_example", f"then the key is {spec(rngs.key[...])}", "one", line, does))
    again = attempt.call(what, model=model, batch=batch)
    if masks(y) == 8 and masks([y, again]) == 1:
        yield Finding("repeats", "per_example", "two calls give the same 8 masks", "16 masks", line)
    tried(
        attempt, "per_example(model, batch[:3])", "per_example", dict.fromkeys(AXES, "size"), model=model, batch=batch
    )


def saving(attempt: Attempt) -> Iterator[Finding]:
    """What is saved is all state, and stays as it is."""
    line, x, model, resumed = attempt.line("save"), jnp.ones(32), Noisy(0), Noisy(1)
    model(x)
    now, saved = held(model), attempt.call("save(model)", model=model)
    if not isinstance(saved, nnx.State):
        raise Stop(Finding("result-type", "save", f"`save` returns {describe(saved)}", "an nnx.State", line))
    before, outputs, after = held(saved), [model(x) for _ in range(2)], held(saved)
    if moved := [path for path in before if not np.array_equal(before[path], after[path])]:
        measured = f"Two calls later {len(moved)} of {len(before)} saved values were others."
        seen = f"the saved {moved[-1]} goes from {numbers(before[moved[-1]])} to {numbers(after[moved[-1]])}"
        yield Finding("shared", "save", seen, "saved values stay", line, measured)
    if missing := [path for path in now if path not in before]:
        nnx.update(resumed, saved)
        equal = sum(close(resumed(x), output) for output in outputs)
        measured = f"A run that went on from it had {equal} of the next 2 outputs right."
        kind = "randomness" if all("rngs" in path for path in missing) else "missing"
        yield Finding(kind, "save", f"nothing at {', '.join(missing)}", "all state", line, "" if moved else measured)
    for path in [path for path in now if path in before and not np.array_equal(now[path], before[path])][:1]:
        yield Finding("value", "save", f"{path} is {numbers(before[path])}", numbers(now[path]), line)


def functions(attempt: Attempt) -> Iterator[Finding]:
    """Each part is tried apart from the others, so that all can be told."""
    for part in (stream, calling, mapping, saving):
        try:
            yield from part(attempt)
        except Stop as stop:
            yield stop.finding


STAGES = (names, functions)


def _outputs(attempt: Attempt, layer: Any) -> Iterator[Finding]:
    """In training the outputs are those of NNX's Dropout, in eval mode the inputs."""
    line, x, reference = attempt.line("__call__", "Dropout"), jnp.asarray(X), nnx.Dropout(RATE, rngs=nnx.Rngs(**SEEDS))
    outputs = [attempt.call("dropout(x)", dropout=layer, x=x) for _ in range(3)]
    wanted, y = [reference(x) for _ in range(3)], outputs[0]
    if not isinstance(y, jax.Array) or y.shape != x.shape:
        raise Stop(Finding("result-shape", "Dropout", f"it returns {spec(y)}", "float32[4, 16]", line))
    if not all(map(close, outputs, wanted)):
        kind, measured = _told(np.asarray(y), masks(outputs), np.asarray(wanted[0]) != 0)
        seen, expected = f"{numbers(y)} from {numbers(X)}", f"{numbers(wanted[0])}, as nnx.Dropout"
        raise Stop(Finding(kind, "Dropout", seen, expected, line, measured))
    half = attempt.call("dropout(x)", dropout=layer, x=x.astype(jnp.bfloat16))
    if half.dtype != jnp.bfloat16:
        yield Finding("dtype", "Dropout", f"{half.dtype} from a bfloat16 input", "bfloat16", line)
    before = int(layer.rngs.count[...])
    attempt.call("dropout.eval()", dropout=layer)
    y = attempt.call("dropout(x)", dropout=layer, x=jnp.asarray(X))
    if not close(y, X):
        kind = "scaled" if np.all(y) else "dropped"
        yield Finding(kind, "eval", f"{numbers(y)} from {numbers(X)}", "the input", line)
    if drawn := int(layer.rngs.count[...]) - before:
        yield Finding("draws", "eval", f"a call in eval mode draws {drawn} key", "none", line)


def _told(y: np.ndarray, different: int, kept: np.ndarray) -> tuple[str, str]:
    """Return the kind of a training output that is another one, and what it does."""
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
    kind = next((kind for kind, holds in kinds.items() if holds), "formula")
    sums = f"their sum is {y.sum() / X.sum():.2f} times that of the input; different masks in three calls: {different}"
    return kind, f"At a rate of {RATE} it keeps {seen.mean():.0%} of the numbers, {sums}."


def _drew(layers: list[Any], who: str) -> str:
    return f"{who} drew {masks([layer(jnp.asarray(X)) for layer in layers])} mask."


def _shown(does: Callable[[], str]) -> str:
    """Return what a run shows, or how it fails."""
    try:
        return does()
    except Exception as error:
        return f"The next call raises {told(error, 100)}."
