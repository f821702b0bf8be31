"""Checks of the exercise Caches.

First the forward pass of `CausalMean`, without a cache; then the cache that `init_cache` makes, the tokens one by one,
plain and compiled, and one token too many. Last `keep` and `reorder`, with a layer of the checks, so that they are
checked whatever is wrong with `CausalMean`. No two sizes of an array are equal: axes cannot be mistaken for each other.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state import TraceCounter
from nnx_state.practice.damage import deleted_by_donation
from nnx_state.practice.findings import Finding, told
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import role
from nnx_state.practice.stages import part
from nnx_state.practice.state import copied, found_by, held
from nnx_state.practice.values import address, array_of, close, content, describe, listed, numbers, spec

BATCH, LENGTH, FEATURES = 2, 3, 5
COUNTS = np.arange(1, LENGTH + 2)[:, None]
X = np.cos(np.arange(1.0, 1 + BATCH * (LENGTH + 1) * FEATURES, dtype=np.float32)).reshape(BATCH, LENGTH + 1, FEATURES)
MEANS = np.cumsum(X, axis=1) / COUNTS
ORDER = np.array([2, 0, 0])


class Layer(nnx.Module):
    """A layer with a cache of three sequences, and values of other types."""

    def __init__(self, index: bool = True) -> None:
        numbers = np.arange(1.0, 19.0, dtype=np.float32)
        self.cached_key = nnx.Cache(array_of(numbers.reshape(3, 3, 2)))
        self.cached_score = nnx.Cache(array_of(numbers[:9].reshape(3, 3)))
        if index:
            self.cache_index = nnx.Cache(jnp.array(2))
        self.weight = nnx.Param(array_of(numbers[:3]))
        self.seen = nnx.BatchStat(array_of(numbers[:3]))


def ready(attempt: Attempt) -> Any:
    """Return a layer of the attempt with an empty cache."""
    model = attempt.call("CausalMean()")
    attempt.call(f"model.init_cache(batch={BATCH}, length={LENGTH}, features={FEATURES})", model=model)
    return model


def token(place: int) -> jax.Array:
    """Return one token of each sequence."""
    return array_of(X[:, place])


def names(attempt: Attempt) -> Iterator[Finding]:
    """The layer and its methods are there."""
    kind = attempt.module_class("CausalMean")
    for name in ("init_cache", "decode"):
        if not hasattr(kind, name):
            line = attempt.line("CausalMean")
            raise Stop(Finding("missing", name, "`CausalMean` has no such method", f"`{name}`", line))
    yield from ()


def forward(attempt: Attempt) -> Iterator[Finding]:
    """The forward pass gives the mean of the tokens so far, without a cache."""
    try:
        model = attempt.call("CausalMean()")
    except TypeError as error:
        seen, line = f"TypeError: {error}", attempt.line("CausalMean")
        raise Stop(Finding("constructor", "CausalMean", seen, "`CausalMean()`", line)) from None
    line = attempt.line("__call__", "CausalMean")
    y = attempt.call("model(x)", model=model, x=array_of(X))
    if not isinstance(y, jax.Array) or y.shape != X.shape:
        expected = describe(array_of(X))
        yield Finding("result-type", "forward", f"it returns {describe(y)}", expected, line)
    elif not close(y, MEANS):
        kind, measured = _mistaken_mean(attempt, model, np.asarray(y))
        seen = f"{numbers(y[0, :, 0])} for the first feature {numbers(X[0, :, 0])}"
        yield Finding(kind, "forward", seen, numbers(MEANS[0, :, 0]), line, measured)
    if paths := held(model):
        yield Finding("state", "forward", f"the state has {', '.join(paths)}", "no state", line)


def cache(attempt: Attempt) -> Iterator[Finding]:
    """`init_cache` makes two empty Caches, and nothing else."""
    model, line = ready(attempt), attempt.line("init_cache")
    for name, shape, dtype in (("tokens", (BATCH, LENGTH, FEATURES), "float32"), ("index", (), "int32")):
        for finding in role(attempt, model, name, nnx.Cache):
            measured = f"A snapshot of this layer by `nnx.Cache` holds {found_by(model, nnx.Cache)}."
            raise Stop(Finding(finding.kind, name, finding.seen, finding.expected, finding.line, measured))
        value, wanted = content(getattr(model, name)), f"{dtype}{list(shape)}"
        if spec(value) != wanted:
            kind = "shape" if np.shape(value) != shape else "dtype"
            raise Stop(Finding(kind, name, f"{name} is {spec(value)}", wanted, line))
        if np.any(value):
            raise Stop(Finding("value", name, f"{name} starts as {numbers(value)}", "zero", line))
    if extra := sorted(held(model).keys() - {"tokens", "index"}):
        yield Finding("extra", "", f"also {', '.join(extra)}", "tokens and index alone", line)


def decoding(attempt: Attempt) -> Iterator[Finding]:
    """Each token is stored in its place and gives the mean so far; one too many raises and changes nothing."""
    model, line = ready(attempt), attempt.line("decode")
    own = {name: getattr(model, name) for name in ("tokens", "index")}
    for place in range(LENGTH):
        y = attempt.call("model.decode(x)", model=model, x=token(place))
        for name, variable in own.items():
            if (now := getattr(model, name)) is not variable:
                seen, line = (
                    f"after a token, {describe(now)} stands in `{name}`",
                    attempt.changing_line(name, replaces=True),
                )
                raise Stop(Finding("replaced", "cache", seen, "the Cache from before", line))
        _stored(attempt, model, place)
        if not isinstance(y, jax.Array) or y.shape != (BATCH, FEATURES):
            raise Stop(Finding("result-type", "decode", f"it returns {describe(y)}", spec(token(place)), line))
        if not close(y, MEANS[:, place]):
            total = X[:, : place + 1].sum(axis=1)
            rules = {"length": total / LENGTH, "counts": total / (place + 2), "sum": total, "last": X[:, place]}
            kind = formula_of(y, rules) if np.isfinite(y).all() else "counts"
            seen = f"token number {place + 1} gives {numbers(y[0])}"
            raise Stop(Finding(kind, "decode", seen, numbers(MEANS[0, place]), line))
    case = f"token number {LENGTH + 1} of a cache of {LENGTH}: "
    try:
        y = attempt.call("model.decode(x)", model=model, x=token(LENGTH))
    except ValueError:
        index, lost = content(model.index), _overwritten(model)
        if lost or index != LENGTH:
            seen = f"{case}ValueError, but index is {index}{', and a token is lost' if lost else ''}"
            yield Finding("partial", "full", seen, f"index {LENGTH}, and all tokens", line, lost)
    except Exception as error:
        yield Finding("exception", "full", f"{case}{type(error).__name__}: {error}", "ValueError", line)
    else:
        seen = f"{case}{numbers(y) if isinstance(y, jax.Array) else describe(y)}"
        yield Finding("silent", "full", seen, "ValueError", line, _overwritten(model))


def compiled(attempt: Attempt) -> Iterator[Finding]:
    """One trace serves all tokens, and one too many gives NaN and leaves the others."""
    model, line = ready(attempt), attempt.line("decode")

    def decode(model: Any, x: jax.Array) -> Any:
        return model.decode(x)

    counter = TraceCounter(decode)
    given: dict[str, Any] = {"model": model, "compiled_decode": nnx.jit(counter)}
    for place in range(LENGTH):
        try:
            y = attempt.call("compiled_decode(model, x)", x=token(place), **given)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError, IndexError) as error:
            seen = told(error, most=500)
            raise Stop(Finding("asks", "compiled", seen, "the same as without nnx.jit", line)) from None
        if not close(y, MEANS[:, place]):
            raise Stop(Finding("result-value", "compiled", numbers(y), numbers(MEANS[:, place]), line))
    if counter.traces > 1:
        measured = f"{LENGTH} tokens compiled `decode` {counter.traces} times."
        yield Finding("retraced", "decode", f"{counter.traces} traces", "one trace", line, measured)
    y = attempt.call("compiled_decode(model, x)", x=token(LENGTH), **given)
    seen = f"it returns {numbers(y)}"
    if lost := _overwritten(model):
        yield Finding("overwrites", "compiled", seen, "NaN, and the tokens as before", line, lost)
    elif not np.isnan(y).all():
        yield Finding("numbers", "compiled", seen, "NaN", line)


def keeping(attempt: Attempt) -> Iterator[Finding]:
    """`keep` copies the Caches of any model, and nothing else."""
    attempt.function("keep", "model")
    model, line = nnx.Dict(layer=Layer()), attempt.line("keep")
    own, wanted = held(model), held(nnx.state(model, nnx.Cache))
    saved = _of_any(attempt, "keep", "keep(model)", model=model)
    if not isinstance(saved, nnx.State):
        raise Stop(Finding("result-type", "keep", f"it returns {describe(saved)}", "an nnx.State", line))
    if lost := sorted(own.keys() - held(model).keys()):
        seen = f"after the call the model has no {', '.join(lost)}"
        raise Stop(Finding("popped", "keep", seen, "the same model", line))
    kept = held(saved)
    if kept.keys() != wanted.keys():
        raise Stop(Finding("others", "keep", f"it has {listed(kept)}", ", ".join(wanted), line))
    if other := [f"{describe(leaf)} at {path}" for path, leaf in kept.items() if not isinstance(leaf, nnx.Cache)]:
        raise Stop(Finding("types", "keep", other[0], "Caches", line))
    if any(leaf is own[path] for path, leaf in kept.items()):
        own["layer.cache_index"][...] += 1
        measured = f"After one more token the kept index went from 2 to {kept['layer.cache_index'][...]}."
        yield Finding("follows", "keep", "it holds the Caches of the model", "new ones", line, measured)
    elif {address(leaf) for leaf in kept.values()} & {address(leaf) for leaf in wanted.values()}:
        deleted = deleted_by_donation(own["layer.cached_key"], kept["layer.cached_key"])
        measured = f"The model's key was donated, and the kept one {'was deleted too' if deleted else 'stayed, here'}."
        yield Finding("buffers", "keep", "new Caches hold the buffers of the model", "new buffers", line, measured)


def reordering(attempt: Attempt) -> Iterator[Finding]:
    """`reorder` moves the sequences of each Cache, in place, and nothing else."""
    attempt.function("reorder", "model", "indices")
    model = nnx.Dict(layer=Layer())
    line = attempt.line("reorder")
    call = "reorder(model, indices)"
    own = held(model)
    before = copied(model)
    indices = array_of(ORDER)
    try:
        result = _of_any(attempt, "reorder", call, model=model, indices=indices)
    except (IndexError, TypeError, ValueError) as error:
        # Without a Cache that holds a scalar it raises too, unless the scalar is what it cannot take.
        attempt.call(call, model=nnx.Dict(layer=Layer(index=False)), indices=indices)
        seen = f"a Cache that holds a scalar raised {type(error).__name__}"
        raise Stop(Finding("scalar", "reorder", seen, "it stays as it is", line)) from None
    now = held(model)
    if replaced := [path for path, leaf in own.items() if now.get(path) is not leaf]:
        seen = f"another object stands in {', '.join(replaced)}"
        raise Stop(Finding("replaced", "reorder", seen, "the same Caches", line))
    after = copied(model)
    key, score = after.pop("layer.cached_key"), after.pop("layer.cached_score")[:, 0]
    wanted = before["layer.cached_key"][ORDER]
    if not close(key, wanted):
        kind = _mistaken_order(key, before["layer.cached_key"])
        seen = f"sequences that begin with {numbers(key[:, 0, 0])}, for the indices {ORDER.tolist()}"
        yield Finding(kind, "reorder", seen, numbers(wanted[:, 0, 0]), line)
    elif not close(score, 3 * ORDER + 1):
        yield Finding("some", "reorder", f"another Cache begins with {numbers(score)}", numbers(3 * ORDER + 1), line)
    for path, value in after.items():
        if not close(value, before[path]):
            kind = "others" if before[path].ndim else "scalar"
            yield Finding(kind, "reorder", f"{path} is {numbers(value)}", numbers(before[path]), line)
    if result is not None:
        yield Finding("result-type", "reorder", f"it returns {describe(result)}", "None", line)


STAGES = (*part(names, forward, cache, decoding, compiled), *part(keeping), *part(reordering))


def _mistaken_mean(attempt: Attempt, model: Any, y: np.ndarray) -> tuple[str, str]:
    """Return what is wrong with the outputs of the forward pass, and what another last token does to the first."""
    if close(y, np.cumsum(X, axis=0) / np.arange(1, BATCH + 1)[:, None, None]):
        return "axis", ""
    other = X.copy()
    other[:, -1] = 9.0
    changed = np.asarray(attempt.call("model(x)", model=model, x=array_of(other)))
    if not close(changed[:, 0], y[:, 0]):
        measured = f"Another last token turned the first output from {numbers(y[0, 0])} to {numbers(changed[0, 0])}."
        return "future", measured
    sums = np.cumsum(X, axis=1)
    return formula_of(y, {"counts": (sums, sums / (LENGTH + 1))}), ""


def _stored(attempt: Attempt, model: Any, place: int) -> None:
    """Look at the cache after a token.

    Raises:
        Stop: If the token is not in its place, or the index does not count it.
    """
    tokens = np.asarray(content(model.tokens))
    index = content(model.index)
    line = attempt.line("decode")
    if index != place + 1:
        seen = f"after token number {place + 1} the index is {index}"
        with jax.disable_jit():
            twin = ready(attempt)
            twin.decode(token(0))
        if not index and content(twin.index) == 1:
            raise Stop(Finding("jax-jit", "decode", seen, f"{place + 1}", line))
        raise Stop(Finding("value" if index else "unchanged", "index", seen, f"{place + 1}", line))
    if not close(tokens, X[:, :LENGTH] * (np.arange(LENGTH) <= place)[:, None]):
        places = [other for other in range(LENGTH) if close(tokens[:, other], X[:, place])]
        seen = f"token number {place + 1} is in place {places[0] + 1 if places else 'none'}"
        raise Stop(Finding("place" if places else "unchanged", "tokens", seen, f"place {place + 1}", line))


def _mistaken_order(key: np.ndarray, before: np.ndarray) -> str:
    """Name the rule by which sequences were moved."""
    in_turn = before.copy()
    for target, source in enumerate(ORDER):
        in_turn[target] = in_turn[source]
    rules = {"unchanged": before, "in-turn": in_turn, "axis": before[:, ORDER], "inverse": (*_inverses(before),)}
    return formula_of(key, rules, otherwise="result-value")


def _inverses(before: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what comes of sequences that go to their indices, where they should come from there.

    Two go to one place, and either may come last; a place that none goes to keeps what it has, or is zero.
    """
    for rest, turn in itertools.product((before, np.zeros_like(before)), (1, -1)):
        moved = rest.copy()
        for source, target in list(enumerate(ORDER))[::turn]:
            moved[target] = before[source]
        yield moved
    yield before[np.argsort(ORDER, kind="stable")]


def _of_any(attempt: Attempt, name: str, call: str, **names: Any) -> Any:
    """Return what a function of the attempt returns for a model that is no CausalMean."""
    try:
        return attempt.call(call, **names)
    except (AttributeError, KeyError) as error:
        seen = f"of another model: {type(error).__name__}: {error}"
        raise Stop(Finding("own-only", name, seen, "any model", attempt.line(name))) from None


def _overwritten(model: Any) -> str:
    """Return which token of a full cache was lost, or nothing."""
    tokens = np.asarray(content(model.tokens))
    lost = [place for place in range(LENGTH) if not close(tokens[:, place], X[:, place])]
    return f"Of the {LENGTH} tokens in the cache, number {lost[0] + 1} was overwritten." if lost else ""
