"""Checks of the exercise Split and merge."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, content, describe, numbers, spec
from nnx_state.practice.trials import held

FILTERS: dict[str, Any] = {"nnx.Param": nnx.Param, "nnx.BatchStat": nnx.BatchStat, "...": ...}
FILTERS['nnx.PathContains("bias")'] = nnx.PathContains("bias")


class Layer(nnx.Module):
    """A layer with leaves of three types."""

    def __init__(self, outputs: int = 2) -> None:
        self.kernel = nnx.Param(jnp.linspace(-1.0, 1.0, 4 * outputs).reshape(4, outputs))
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.count = nnx.Variable(jnp.array(3))
        self.mean = nnx.BatchStat(jnp.arange(1.0, 1.0 + outputs))


class Pair(nnx.Module):
    """Two layers."""

    def __init__(self) -> None:
        self.first, self.second = Layer(3), Layer()


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    attempt.function("snapshot", "model", "filter")
    attempt.function("restore", "model", "saved")
    yield from ()


def selection(attempt: Attempt) -> Iterator[Finding]:
    """A snapshot has the leaves that the filter selects, each with its type and its values."""
    line = attempt.line("snapshot")
    for text, chosen in FILTERS.items():
        model = Layer()
        saved = attempt.call(f"snapshot(model, {text})", model=model, nnx=nnx)
        if not isinstance(saved, nnx.State):
            raise Stop(Finding("result-type", "snapshot", f"it returns {describe(saved)}", "an nnx.State", line))
        if lost := sorted(set(held(Layer())) - set(held(model))):
            seen = f"after the call the model has no {', '.join(lost)}"
            raise Stop(Finding("popped", "snapshot", seen, "the model stays as it is", line))
        wanted, found = held(nnx.state(Layer(), chosen)), held(saved)
        if set(found) != set(wanted):
            seen = f"for the filter `{text}` it holds {', '.join(found) or 'nothing'}"
            raise Stop(Finding("filter", "snapshot", seen, ", ".join(wanted), line))
        for path, leaf in wanted.items():
            value, seen, expected = found[path], f"{describe(found[path])} at {path}", describe(leaf)
            if not isinstance(value, nnx.Variable):
                params = len(held(nnx.filter_state(saved, nnx.Param)))
                measured = f"`nnx.filter_state(saved, nnx.Param)` finds {params} leaves in this snapshot of `{text}`."
                raise Stop(Finding("arrays", "snapshot", seen, expected, line, measured))
            if type(value) is not type(leaf) or spec(value.get_raw_value()) != spec(leaf[...]):
                raise Stop(Finding("type", "snapshot", seen, expected, line))
            if not np.array_equal(value[...], leaf[...]):
                seen, expected = f"{numbers(value[...])} at {path}", numbers(leaf[...])
                raise Stop(Finding("value", "snapshot", seen, expected, line))
    yield from ()


def independence(attempt: Attempt) -> Iterator[Finding]:
    """No later change of the model reaches a snapshot."""
    model, line = Layer(), attempt.line("snapshot")
    saved = attempt.call("snapshot(model, nnx.Param)", model=model, nnx=nnx)
    own, kept = held(model), held(saved)
    if any(kept[path] is own[path] for path in kept):
        yield Finding(
            "follows", "snapshot", "its Variables are those of the model", "new ones", line, _ruin(model, saved)
        )
    elif any(_places(kept[path]) & _places(own[path]) for path in kept):
        measured = _donation(own, kept)
        yield Finding("buffers", "snapshot", "new Variables on the buffers of the model", "new buffers", line, measured)


def writing(attempt: Attempt) -> Iterator[Finding]:
    """A snapshot that fits comes back into the same Variables, as copies, and as often as it is asked for."""
    line = attempt.line("restore")
    for text, chosen in FILTERS.items():
        model = Layer()
        saved, own = _copied(model, chosen), held(model)
        kept = held(saved)
        first = _numbers(kept)
        _shift(model)
        before = _numbers(own) | first
        try:
            result = attempt.call("restore(model, saved)", model=model, saved=saved)
        except ValueError as error:
            seen = f"a snapshot of `{text}` from the same model raised ValueError: {error}"
            raise Stop(Finding("refused", "restore", seen, "its values come back", line)) from None
        now = held(model)
        for path, wanted in before.items():
            if path not in now or not np.array_equal(content(now[path]), wanted):
                kind = "unchanged" if path in first else "others"
                seen = f"after a restore of `{text}` {path} is {numbers(content(now[path])) if path in now else 'gone'}"
                raise Stop(Finding(kind, "restore", seen, numbers(wanted), line))
        if set(held(saved)) != set(first) or not all(np.array_equal(kept[path][...], first[path]) for path in first):
            seen = f"afterwards `saved` holds {', '.join(held(saved)) or 'nothing'}, or other numbers"
            raise Stop(Finding("consumes", "restore", seen, "the snapshot as it was", line))
        if replaced := [path for path, leaf in now.items() if leaf is not own.get(path)]:
            seen, measured = f"another object stands in {', '.join(replaced)}", ""
            if now[name := replaced[0]] is kept.get(name):
                now[name][...] += 1
                measured = f"One more write to the model gave the snapshot {numbers(kept[name][...])} in {name}, too."
            yield Finding("replaced", "restore", seen, "the Variables from before", line, measured)
            return
        if any(_places(own[path]) & _places(leaf) for path, leaf in kept.items()):
            seen, measured = "the model holds the buffers of `saved`", _donation(own, kept)
            yield Finding("buffers", "restore", seen, "copies", line, measured)
            return
        if result is not None:
            yield Finding("result-type", "restore", f"it returns {describe(result)}", "None", line)
            return


def nested(attempt: Attempt) -> Iterator[Finding]:
    """Both work for a model that has modules in it."""
    for name, call in (("snapshot", "snapshot(model, nnx.Param)"), ("restore", "restore(model, saved)")):
        model, saved = Pair(), _copied(Pair(), nnx.Param)
        if name == "restore":
            _shift(model)
        try:
            result = attempt.call(call, model=model, nnx=nnx, saved=saved)
            found = _numbers(held(result if name == "snapshot" else model))
            seen = f"it gives {', '.join(found) or 'nothing'}, or other numbers"
            fits = all(np.array_equal(found.get(path, ()), content(leaf)) for path, leaf in held(saved).items())
        except Exception as error:
            fits, seen = False, f"{type(error).__name__}: {error}"
        if not fits:
            seen = f"for a model with the layers first and second: {seen}"
            raise Stop(Finding("nested", name, seen, "paths of any length", attempt.line(name)))
    yield from ()


def misfits(attempt: Attempt) -> Iterator[Finding]:
    """What does not fit raises ValueError, and nothing is written."""
    found: dict[str, Finding] = {}
    for model, saved, kind, path in _cases():
        for finding in _refuses(attempt, model, saved, kind, path):
            found.setdefault(finding.kind, finding)
    yield from found.values()


STAGES = (names, selection, independence, writing, nested, misfits)


def _cases() -> Iterator[tuple[nnx.Module, Any, str, str]]:
    """Yield models and snapshots that do not fit, the name of that misfit, and its path."""
    for path in ("kernel", "bias"):
        model, saved = Layer(), _copied(Layer(), nnx.Param)
        delattr(model, path)
        yield model, saved, "unknown-path", path
    saved = _copied(Layer())
    saved["cuont"] = nnx.Variable(jnp.array(9))
    yield Layer(), saved, "unknown-path", "cuont"
    for path, shape in (("kernel", (4, 1)), ("kernel", (2, 4)), ("bias", (1,)), ("bias", ()), ("count", (1,))):
        saved = _copied(Layer())
        saved[path] = type(saved[path])(jnp.full(shape, 9, saved[path].dtype))
        yield Layer(), saved, "shape", path
    pair = Pair()
    del pair.second.kernel
    yield pair, _copied(Pair()), "unknown-path", "second.kernel"


def _refuses(attempt: Attempt, model: nnx.Module, saved: Any, kind: str, path: str) -> Iterator[Finding]:
    """Yield what is wrong with how `restore` meets a snapshot that does not fit."""
    line = attempt.line("restore")
    _shift(model)
    own, raised = held(model), None
    before = _numbers(own)
    there = describe(own[path]) if path in own else "absent"
    case = f"{path} is {describe(held(saved)[path])} in saved, {there} in the model"
    try:
        attempt.call("restore(model, saved)", model=model, saved=saved)
    except NotImplementedError:
        raise
    except Exception as error:
        raised = error
    now = held(model)
    wrote = [name for name in now if name not in before or not np.array_equal(content(now[name]), before[name])]
    if raised is None:
        measured = f"Afterwards {path} is {describe(now[path])} in the model." if path in wrote else ""
        yield Finding(kind if wrote else "silent", "restore", f"{case}; no error", "ValueError", line, measured)
    elif not isinstance(raised, ValueError):
        yield Finding("exception", "restore", f"{case}; {type(raised).__name__}: {raised}", "ValueError", line)
    elif wrote:
        seen = f"{case}; ValueError, but {', '.join(wrote)} had been written"
        measured = f"{len(wrote)} of {len(before)} leaves had the values of the snapshot, the others those of training."
        yield Finding("partial", "restore", seen, "no write", line, measured)


def _numbers(leaves: dict[str, Any]) -> dict[str, Any]:
    return {path: np.array(content(leaf)) for path, leaf in leaves.items()}


def _copied(model: nnx.Module, chosen: Any = ...) -> Any:
    return jax.tree.map(jnp.copy, nnx.state(model, chosen))


def _places(leaf: Any) -> set[int]:
    """Return the address of the memory of a leaf."""
    value = content(leaf)
    return {value.unsafe_buffer_pointer() if isinstance(value, jax.Array) else value.__array_interface__["data"][0]}


def _shift(model: nnx.Module) -> None:
    for leaf in held(model).values():
        leaf[...] += 1


def _donation(own: dict[str, Any], kept: dict[str, Any]) -> str:
    """Return what becomes of a snapshot when a buffer of the model is donated."""
    name = next(iter(kept))
    jax.jit(jnp.negative, donate_argnums=0)(own[name].get_raw_value())
    array = kept[name].get_raw_value()
    fate = "was deleted too" if isinstance(array, jax.Array) and array.is_deleted() else "stayed, on this machine"
    return f"The model's {name} was donated to a compiled function, and the {name} of the snapshot {fate}."


def _ruin(model: Layer, saved: Any) -> str:
    """Return what training does to a snapshot that holds the model's own Variables."""

    def loss(model: Layer) -> jax.Array:
        return jnp.mean((jnp.ones(4) @ model.kernel + model.bias - 1.0) ** 2)

    first, optimizer = loss(model), nnx.Optimizer(model, optax.sgd(0.5), wrt=nnx.Param)
    for _ in range(3):
        optimizer.update(model, nnx.grad(loss)(model))
    last = loss(model)
    nnx.update(model, saved)
    return f"Three steps of sgd(0.5) took the loss from {first:.2f} to {last:.2f}; the snapshot gave {loss(model):.2f}."
