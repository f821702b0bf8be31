"""Checks of the exercise Caches."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, close, content, describe, numbers, role, spec
from nnx_state.practice.trials import held

BATCH, LENGTH, FEATURES = 2, 3, 5  # no two sizes of an array are equal
X = jnp.cos(jnp.arange(1.0, 1 + BATCH * (LENGTH + 1) * FEATURES)).reshape(BATCH, LENGTH + 1, FEATURES)
MEANS = jnp.cumsum(X, axis=1) / jnp.arange(1, LENGTH + 2)[:, None]
ORDER = jnp.array([2, 0, 0])


class Layer(nnx.Module):
    """A layer with a cache of three sequences, and values of other types."""

    def __init__(self, index: bool = True) -> None:
        self.cached_key = nnx.Cache(jnp.arange(18.0).reshape(3, 3, 2))
        self.cached_score = nnx.Cache(jnp.arange(9.0).reshape(3, 3))
        if index:
            self.cache_index = nnx.Cache(jnp.array(2))
        self.weight = nnx.Param(jnp.arange(3.0))
        self.seen = nnx.BatchStat(jnp.arange(3.0))


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    kind = attempt.module_class("CausalMean")
    for name in ("init_cache", "decode"):
        if not hasattr(kind, name):
            line = attempt.line("CausalMean")
            raise Stop(Finding("missing", name, "`CausalMean` has no such method", f"`{name}`", line))
    attempt.function("keep", "model")
    attempt.function("reorder", "model", "indices")
    yield from ()


def forward(attempt: Attempt) -> Iterator[Finding]:
    """The forward pass gives the mean of the tokens so far, without a cache."""
    try:
        model = attempt.call("CausalMean()")
    except TypeError as error:
        seen, line = f"TypeError: {error}", attempt.line("CausalMean")
        raise Stop(Finding("constructor", "CausalMean", seen, "`CausalMean()`", line)) from None
    line = attempt.line("__call__", "CausalMean")
    y = attempt.call("model(x)", model=model, x=X)
    if not isinstance(y, jax.Array) or y.shape != X.shape:
        yield Finding("result-type", "forward", f"it returns {describe(y)}", describe(X), line)
    elif not close(y, MEANS):
        last, sums, measured = attempt.call("model(x)", model=model, x=X.at[:, -1].set(9.0)), jnp.cumsum(X, axis=1), ""
        if close(y, jnp.cumsum(X, axis=0) / jnp.arange(1, BATCH + 1)[:, None, None]):
            kind = "axis"
        elif not close(last[:, 0], y[:, 0]):
            kind = "future"
            measured = f"Another last token turned the first output from {numbers(y[0, 0])} to {numbers(last[0, 0])}."
        else:
            kind = "counts" if close(y, sums) or close(y, sums / (LENGTH + 1)) else "formula"
        seen = f"{numbers(y[0, :, 0])} for the first feature {numbers(X[0, :, 0])}"
        yield Finding(kind, "forward", seen, numbers(MEANS[0, :, 0]), line, measured)
    if paths := held(model):
        yield Finding("state", "forward", f"the state has {', '.join(paths)}", "no state", line)


def cache(attempt: Attempt) -> Iterator[Finding]:
    """`init_cache` makes two empty Caches."""
    model, line = ready(attempt), attempt.line("init_cache")
    for name, shape, dtype in (("tokens", (BATCH, LENGTH, FEATURES), "float32"), ("index", (), "int32")):
        for finding in role(attempt, model, name, nnx.Cache):
            found = ", ".join(held(nnx.state(model, nnx.Cache))) or "nothing"
            measured = f"A snapshot of this layer by `nnx.Cache` holds {found}."
            raise Stop(Finding(finding.kind, name, finding.seen, finding.expected, finding.line, measured))
        value = content(getattr(model, name))
        if spec(value) != f"{dtype}{list(shape)}":
            kind = "shape" if np.shape(value) != shape else "dtype"
            raise Stop(Finding(kind, name, f"{name} is {spec(value)}", f"{dtype}{list(shape)}", line))
        if np.any(value):
            raise Stop(Finding("value", name, f"{name} starts as {numbers(value)}", "zero", line))
    if extra := sorted(set(held(model)) - {"tokens", "index"}):
        yield Finding("extra", seen=f"also {', '.join(extra)}", expected="tokens and index alone", line=line)


def decoding(attempt: Attempt) -> Iterator[Finding]:
    """Each token is stored in its place and gives the mean so far; one too many raises and changes nothing."""
    model, line = ready(attempt), attempt.line("decode")
    own = {name: getattr(model, name) for name in ("tokens", "index")}
    for i in range(LENGTH):
        y = attempt.call("model.decode(x)", model=model, x=X[:, i])
        for name, variable in own.items():
            if (now := getattr(model, name)) is not variable:
                seen = f"after a token, {describe(now)} stands in `{name}`"
                raise Stop(Finding("replaced", "cache", seen, "the Cache from before", line))
        tokens, index = model.tokens[...], model.index[...]
        if index != i + 1:
            seen = f"after token number {i + 1} the index is {index}"
            with jax.disable_jit():
                (twin := ready(attempt)).decode(X[:, 0])
            copied = not index and twin.index[...] == 1
            kind, about = ("jax-jit", "decode") if copied else ("value" if index else "unchanged", "index")
            raise Stop(Finding(kind, about, seen, f"{i + 1}", line))
        if not close(tokens, X[:, :LENGTH] * (jnp.arange(LENGTH) <= i)[:, None]):
            places = [place for place in range(LENGTH) if close(tokens[:, place], X[:, i])]
            seen = f"token number {i + 1} is in place {places[0] + 1 if places else 'none'}"
            raise Stop(Finding("place" if places else "unchanged", "tokens", seen, f"place {i + 1}", line))
        if not isinstance(y, jax.Array) or y.shape != (BATCH, FEATURES):
            raise Stop(Finding("result-type", "decode", f"it returns {describe(y)}", spec(X[:, i]), line))
        if not close(y, MEANS[:, i]):
            total = X[:, : i + 1].sum(axis=1)
            rules = {"length": total / LENGTH, "counts": total / (i + 2), "sum": total, "last": X[:, i]}
            kind = next((kind for kind, value in rules.items() if close(y, value)), "formula")
            kind = kind if jnp.isfinite(y).all() else "counts"
            seen = f"token number {i + 1} gives {numbers(y[0])}"
            raise Stop(Finding(kind, "decode", seen, numbers(MEANS[0, i]), line))
    case = f"token number {LENGTH + 1} of a cache of {LENGTH}: "
    try:
        y = attempt.call("model.decode(x)", model=model, x=X[:, LENGTH])
    except ValueError:
        if (lost := _overwritten(model)) or model.index[...] != LENGTH:
            seen = f"{case}ValueError, but index is {model.index[...]}{', and a token is lost' if lost else ''}"
            yield Finding("partial", "full", seen, f"index {LENGTH}, and all tokens", line, lost)
    except Exception as error:
        yield Finding("exception", "full", f"{case}{type(error).__name__}: {error}", "ValueError", line)
    else:
        seen = f"{case}{numbers(y) if isinstance(y, jax.Array) else describe(y)}"
        yield Finding("silent", "full", seen, "ValueError", line, _overwritten(model))


def compiled(attempt: Attempt) -> Iterator[Finding]:
    """One trace serves all tokens, and one too many gives NaN and leaves the others."""
    model, runs, line = ready(attempt), list[int](), attempt.line("decode")

    def step(model: Any, x: jax.Array) -> Any:
        runs.append(1)
        return model.decode(x)

    names = {"model": model, "compiled_decode": nnx.jit(step)}
    for i in range(LENGTH):
        try:
            y = attempt.call("compiled_decode(model, x)", x=X[:, i], **names)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError, IndexError) as error:
            seen = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            raise Stop(Finding("asks", "compiled", seen, "the same as without nnx.jit", line)) from None
        if not close(y, MEANS[:, i]):
            raise Stop(Finding("result-value", "compiled", numbers(y), numbers(MEANS[:, i]), line))
    if len(runs) > 1:
        measured = f"{LENGTH} tokens compiled `decode` {len(runs)} times."
        yield Finding("retraced", "decode", f"{len(runs)} traces", "one trace", line, measured)
    y = attempt.call("compiled_decode(model, x)", x=X[:, LENGTH], **names)
    if lost := _overwritten(model):
        yield Finding("overwrites", "compiled", f"it returns {numbers(y)}", "NaN, and the tokens as before", line, lost)
    elif not jnp.isnan(y).all():
        yield Finding("numbers", "compiled", f"it returns {numbers(y)}", "NaN", line)


def keeping(attempt: Attempt) -> Iterator[Finding]:
    """`keep` copies the Caches of any model, and nothing else."""
    model, line = nnx.Dict(layer=Layer()), attempt.line("keep")
    own, wanted = held(model), held(nnx.state(model, nnx.Cache))
    saved = _of_any(attempt, "keep", "keep(model)", model=model)
    if not isinstance(saved, nnx.State):
        raise Stop(Finding("result-type", "keep", f"it returns {describe(saved)}", "an nnx.State", line))
    kept = held(saved)
    if lost := ", ".join(sorted(set(own) - set(held(model)))):
        raise Stop(Finding("popped", "keep", f"after the call the model has no {lost}", "the same model", line))
    if set(kept) != set(wanted):
        raise Stop(Finding("others", "keep", f"it has {', '.join(kept) or 'nothing'}", ", ".join(wanted), line))
    if other := [f"{describe(leaf)} at {path}" for path, leaf in kept.items() if not isinstance(leaf, nnx.Cache)]:
        raise Stop(Finding("types", "keep", other[0], "Caches", line))
    values = [[leaf.get_raw_value() for leaf in leaves.values()] for leaves in (wanted, kept)]
    places = [{getattr(value, "unsafe_buffer_pointer", object)() for value in some} for some in values]
    if any(leaf is own[path] for path, leaf in kept.items()):
        own["layer.cache_index"][...] += 1
        measured = f"After one more token the kept index went from 2 to {kept['layer.cache_index'][...]}."
        yield Finding("follows", "keep", "it holds the Caches of the model", "new ones", line, measured)
    elif not places[0].isdisjoint(places[1]):
        jax.jit(jnp.negative, donate_argnums=0)(own["layer.cached_key"].get_raw_value())
        deleted = getattr(kept["layer.cached_key"].get_raw_value(), "is_deleted", bool)()
        measured = f"The model's key was donated, and the kept one {'was deleted too' if deleted else 'stayed, here'}."
        yield Finding("buffers", "keep", "new Caches hold the buffers of the model", "new buffers", line, measured)


def reordering(attempt: Attempt) -> Iterator[Finding]:
    """`reorder` moves the sequences of each Cache, in place, and nothing else."""
    model, line, call = nnx.Dict(layer=Layer()), attempt.line("reorder"), "reorder(model, indices)"
    own = held(model)
    old = {path: np.array(leaf[...]) for path, leaf in own.items()}
    try:
        result = _of_any(attempt, "reorder", call, model=model, indices=ORDER)
    except (IndexError, TypeError, ValueError) as error:
        attempt.call(call, model=nnx.Dict(layer=Layer(index=False)), indices=ORDER)  # raises too, without a scalar?
        seen = f"a Cache that holds a scalar raised {type(error).__name__}"
        raise Stop(Finding("scalar", "reorder", seen, "it stays as it is", line)) from None
    now = held(model)
    if replaced := ", ".join(path for path in own if now.get(path) is not own[path]):
        raise Stop(Finding("replaced", "reorder", f"another object stands in {replaced}", "the same Caches", line))
    key, before = now["layer.cached_key"][...], old.pop("layer.cached_key")
    del old["layer.cached_score"]
    if not close(key, before[ORDER]):
        turns = before.copy()
        for i, j in enumerate(ORDER.tolist()):
            turns[i] = turns[j]
        rules = {"unchanged": before, "in-turn": turns, "axis": before[:, ORDER]}
        rules["inverse"] = np.array(jnp.array(before).at[ORDER].set(before))
        kind = next((kind for kind, value in rules.items() if close(key, value)), "result-value")
        seen = f"sequences that begin with {numbers(key[:, 0, 0])}, for the indices {ORDER.tolist()}"
        yield Finding(kind, "reorder", seen, numbers(before[ORDER][:, 0, 0]), line)
    elif not close(score := now["layer.cached_score"][:, 0], 3 * ORDER):
        yield Finding("some", "reorder", f"another Cache begins with {numbers(score)}", numbers(3 * ORDER), line)
    for path, value in old.items():
        if not close(now[path][...], value):
            kind = "others" if value.ndim else "scalar"
            yield Finding(kind, "reorder", f"{path} is {numbers(now[path][...])}", numbers(value), line)
    if result is not None:
        yield Finding("result-type", "reorder", f"it returns {describe(result)}", "None", line)


STAGES = (names, forward, cache, decoding, compiled, keeping, reordering)


def ready(attempt: Attempt) -> Any:
    """Return a layer of the attempt with an empty cache."""
    model = attempt.call("CausalMean()")
    attempt.call(f"model.init_cache(batch={BATCH}, length={LENGTH}, features={FEATURES})", model=model)
    return model


def _of_any(attempt: Attempt, name: str, call: str, **names: Any) -> Any:
    """Return what a function of the attempt returns for a model that is no CausalMean."""
    try:
        return attempt.call(call, **names)
    except (AttributeError, KeyError) as error:
        seen = f"of another model: {type(error).__name__}: {error}"
        raise Stop(Finding("own-only", name, seen, "any model", attempt.line(name))) from None


def _overwritten(model: Any) -> str:
    """Return which token of a full cache was lost, or nothing."""
    lost = [i for i in range(LENGTH) if not close(model.tokens[:, i], X[:, i])]
    return f"Of the {LENGTH} tokens in the cache, number {lost[0] + 1} was overwritten." if lost else ""
