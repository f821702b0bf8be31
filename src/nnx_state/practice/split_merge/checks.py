"""Checks of the exercise Split and merge.

First `snapshot`: what it selects, and that no later change of the model reaches it. Then `restore`, whatever is wrong
with `snapshot`: that it writes a snapshot which fits, into the Variables that are there, as copies; and last snapshots
that do not fit, which must be refused before anything is written.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state.practice.damage import deleted_by_donation
from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import part
from nnx_state.practice.state import copied, held
from nnx_state.practice.values import address, array_of, content, describe, listed, numbers, ramp, raw, spec

FILTERS: dict[str, Any] = {
    "nnx.Param": nnx.Param,
    "nnx.BatchStat": nnx.BatchStat,
    "...": ...,
    'nnx.PathContains("bias")': nnx.PathContains("bias"),
}


class Layer(nnx.Module):
    """A layer with leaves of three types."""

    def __init__(self, outputs: int = 2) -> None:
        self.kernel = nnx.Param(ramp(-1.0, 1.0, 4, outputs))
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.count = nnx.Variable(jnp.array(3))
        self.mean = nnx.BatchStat(ramp(1.0, outputs, outputs))


class Pair(nnx.Module):
    """Two layers."""

    def __init__(self) -> None:
        self.first, self.second = Layer(3), Layer()


def selection(attempt: Attempt) -> Iterator[Finding]:
    """A snapshot has the leaves that the filter selects, each with its type and its values."""
    attempt.function("snapshot", "model", "filter")
    line = attempt.line("snapshot")
    for text, chosen in FILTERS.items():
        model = Layer()
        saved = attempt.call(f"snapshot(model, {text})", model=model, nnx=nnx)
        if not isinstance(saved, nnx.State):
            raise Stop(Finding("result-type", "snapshot", f"it returns {describe(saved)}", "an nnx.State", line))
        if lost := sorted(held(Layer()).keys() - held(model).keys()):
            seen = f"after the call the model has no {', '.join(lost)}"
            raise Stop(Finding("popped", "snapshot", seen, "the model stays as it is", line))
        wanted, found = held(nnx.state(Layer(), chosen)), held(saved)
        if found.keys() != wanted.keys():
            seen = f"for the filter `{text}` it holds {listed(found)}"
            raise Stop(Finding("filter", "snapshot", seen, ", ".join(wanted), line))
        for path, leaf in wanted.items():
            value, seen = found[path], f"{describe(found[path])} at {path}"
            if not isinstance(value, nnx.Variable):
                params = len(held(nnx.filter_state(saved, nnx.Param)))
                measured = f"`nnx.filter_state(saved, nnx.Param)` finds {params} leaves in this snapshot of `{text}`."
                raise Stop(Finding("arrays", "snapshot", seen, describe(leaf), line, measured))
            if type(value) is not type(leaf) or spec(content(value)) != spec(content(leaf)):
                raise Stop(Finding("type", "snapshot", seen, describe(leaf), line))
            if not np.array_equal(raw(value), raw(leaf)):
                seen, expected = f"{numbers(raw(value))} at {path}", numbers(raw(leaf))
                raise Stop(Finding("value", "snapshot", seen, expected, line))
    yield from ()


def independence(attempt: Attempt) -> Iterator[Finding]:
    """No later change of the model reaches a snapshot."""
    model, line = Layer(), attempt.line("snapshot")
    saved = attempt.call("snapshot(model, nnx.Param)", model=model, nnx=nnx)
    own, kept = held(model), held(saved)
    if any(kept[path] is own[path] for path in kept):
        seen, measured = "its Variables are those of the model", _ruin(model, saved)
        yield Finding("follows", "snapshot", seen, "new ones", line, measured)
    elif _shares_memory(kept, own):
        seen, measured = "new Variables on the buffers of the model", _donation(own, kept)
        yield Finding("buffers", "snapshot", seen, "new buffers", line, measured)


def writing(attempt: Attempt) -> Iterator[Finding]:
    """A snapshot that fits comes back into the same Variables, as copies, and as often as it is asked for."""
    attempt.function("restore", "model", "saved")
    line = attempt.line("restore")
    for text, chosen in FILTERS.items():
        model = Layer()
        saved, own = _snapshot(model, chosen), held(model)
        kept, first = held(saved), copied(saved)
        _train(model)
        wanted = copied(model) | first
        try:
            result = attempt.call("restore(model, saved)", model=model, saved=saved)
        except ValueError as error:
            seen = f"a snapshot of `{text}` from the same model raised ValueError: {error}"
            raise Stop(Finding("refused", "restore", seen, "its values come back", line)) from None
        now = held(model)
        for path, value in wanted.items():
            if path not in now or not np.array_equal(raw(now[path]), value):
                kind = "unchanged" if path in first else "others"
                holds = numbers(raw(now[path])) if path in now else "gone"
                seen = f"after a restore of `{text}` {path} is {holds}"
                raise Stop(Finding(kind, "restore", seen, numbers(value), line))
        same = all(np.array_equal(raw(kept[path]), value) for path, value in first.items())
        if held(saved).keys() != first.keys() or not same:
            seen = f"afterwards `saved` holds {listed(held(saved))}, or other numbers"
            raise Stop(Finding("consumes", "restore", seen, "the snapshot as it was", line))
        if replaced := [path for path, leaf in now.items() if leaf is not own.get(path)]:
            seen = f"another object stands in {', '.join(replaced)}"
            name = replaced[0]
            measured = ""
            if now[name] is kept.get(name):
                now[name][...] += 1
                measured = f"One more write to the model gave the snapshot {numbers(raw(kept[name]))} in {name}, too."
            yield Finding("replaced", "restore", seen, "the Variables from before", line, measured)
            return
        if _shares_memory(kept, own):
            measured = _donation(own, kept)
            yield Finding("buffers", "restore", "the model holds the buffers of `saved`", "copies", line, measured)
            return
        if result is not None:
            yield Finding("result-type", "restore", f"it returns {describe(result)}", "None", line)
            return


def nested_snapshot(attempt: Attempt) -> Iterator[Finding]:
    """`snapshot` works for a model that has modules in it."""
    _nested(attempt, "snapshot", Pair(), "snapshot(model, nnx.Param)")
    yield from ()


def nested_restore(attempt: Attempt) -> Iterator[Finding]:
    """`restore` works for a model that has modules in it."""
    model = Pair()
    _train(model)
    _nested(attempt, "restore", model, "restore(model, saved)")
    yield from ()


def misfits(attempt: Attempt) -> Iterator[Finding]:
    """What does not fit raises ValueError, and nothing is written; each mistake is told once."""
    found: dict[str, Finding] = {}
    for model, saved, kind, path in _misfits():
        for finding in _refuses(attempt, model, saved, kind, path):
            found.setdefault(finding.kind, finding)
    yield from found.values()


STAGES = (*part(selection, independence, nested_snapshot), *part(writing, nested_restore, misfits))


def _nested(attempt: Attempt, name: str, model: Pair, call: str) -> None:
    """Call a function with a model that has modules in it.

    Raises:
        Stop: If that fails, or does not give what a snapshot holds.
    """
    saved = _snapshot(Pair(), nnx.Param)
    try:
        result = attempt.call(call, model=model, nnx=nnx, saved=saved)
        found = copied(result if name == "snapshot" else model)
        fits = all(np.array_equal(found.get(path, ()), value) for path, value in copied(saved).items())
        seen = f"it gives {listed(found)}, or other numbers"
    except Exception as error:
        fits, seen = False, f"{type(error).__name__}: {error}"
    if not fits:
        seen = f"for a model with the layers first and second: {seen}"
        raise Stop(Finding("nested", name, seen, "paths of any length", attempt.line(name)))


def _misfits() -> Iterator[tuple[nnx.Module, Any, str, str]]:
    """Yield models and snapshots that do not fit, the name of that misfit, and its path."""
    for path in ("kernel", "bias"):
        model, saved = Layer(), _snapshot(Layer(), nnx.Param)
        delattr(model, path)
        yield model, saved, "unknown-path", path
    saved = _snapshot(Layer())
    saved["cuont"] = nnx.Variable(jnp.array(9))
    yield Layer(), saved, "unknown-path", "cuont"
    shapes: list[tuple[str, tuple[int, ...]]] = [
        ("kernel", (4, 1)),
        ("kernel", (2, 4)),
        ("bias", (1,)),
        ("bias", ()),
        ("count", (1,)),
    ]
    for path, shape in shapes:
        saved = _snapshot(Layer())
        saved[path] = type(saved[path])(array_of(np.full(shape, 9, saved[path].dtype)))
        yield Layer(), saved, "shape", path
    pair = Pair()
    del pair.second.kernel
    yield pair, _snapshot(Pair()), "unknown-path", "second.kernel"


def _refuses(attempt: Attempt, model: nnx.Module, saved: Any, kind: str, path: str) -> Iterator[Finding]:
    """Yield what is wrong with how `restore` meets a snapshot that does not fit."""
    line = attempt.line("restore")
    _train(model)
    own = held(model)
    before = copied(model)
    raised = None
    there = describe(own[path]) if path in own else "absent"
    case = f"{path} is {describe(held(saved)[path])} in saved, {there} in the model"
    try:
        attempt.call("restore(model, saved)", model=model, saved=saved)
    except NotImplementedError:
        raise
    except Exception as error:
        raised = error
    now = held(model)
    wrote = [name for name in now if name not in before or not np.array_equal(raw(now[name]), before[name])]
    if raised is None:
        measured = f"Afterwards {path} is {describe(now[path])} in the model." if path in wrote else ""
        yield Finding(kind if wrote else "silent", "restore", f"{case}; no error", "ValueError", line, measured)
    elif not isinstance(raised, ValueError):
        yield Finding("exception", "restore", f"{case}; {type(raised).__name__}: {raised}", "ValueError", line)
    elif wrote:
        seen = f"{case}; ValueError, but {', '.join(wrote)} had been written"
        measured = f"{len(wrote)} of {len(before)} leaves had the values of the snapshot, the others those of training."
        yield Finding("partial", "restore", seen, "no write", line, measured)


def _snapshot(model: nnx.Module, chosen: Any = ...) -> Any:
    """Return a snapshot as the problem asks for it."""
    return jax.tree.map(jnp.copy, nnx.state(model, chosen))


def _train(model: nnx.Module) -> None:
    """Change every number of a model."""
    for leaf in held(model).values():
        leaf[...] += 1


def _shares_memory(kept: dict[str, Any], own: dict[str, Any]) -> bool:
    """Tell whether a leaf of a snapshot lies where the leaf of the model does."""
    return any(address(leaf) == address(own[path]) for path, leaf in kept.items())


def _donation(own: dict[str, Any], kept: dict[str, Any]) -> str:
    """Say what becomes of a snapshot when a buffer of the model is donated."""
    name = next(iter(kept))
    fate = "was deleted too" if deleted_by_donation(own[name], kept[name]) else "stayed, on this machine"
    return f"The model's {name} was donated to a compiled function, and the {name} of the snapshot {fate}."


def _ruin(model: Layer, saved: Any) -> str:
    """Say what training does to a snapshot that holds the model's own Variables."""

    def loss(model: Layer) -> jax.Array:
        return jnp.mean((jnp.ones(4) @ model.kernel + model.bias - 1.0) ** 2)

    first, optimizer = loss(model), nnx.Optimizer(model, optax.sgd(0.5), wrt=nnx.Param)
    for _ in range(3):
        optimizer.update(model, nnx.grad(loss)(model))
    last = loss(model)
    nnx.update(model, saved)
    return f"Three steps of sgd(0.5) took the loss from {first:.2f} to {last:.2f}; the snapshot gave {loss(model):.2f}."
