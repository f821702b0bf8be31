"""Checks of the exercise Own types.

First the type. Then each function apart from the others: `update` and `averaged` are given averages that are right,
whatever `track` returns, so that all mistakes can be told at once.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state._paths import dotted
from nnx_state.practice.damage import decayed
from nnx_state.practice.findings import Finding, told
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.origins import is_of_nnx
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import SPECIAL
from nnx_state.practice.stages import apart
from nnx_state.practice.values import array_of, close, content, describe, home, numbered, numbers, ramp

RAISED = {"In-place": "in-place", "pytree structure error": "structure"}
Path = tuple[Any, ...]
Values = dict[Path, np.ndarray]


class Gain(nnx.Param[Any]):
    """A Param of a type of its own."""


class Net(nnx.Module):
    """A model with layers inside layers, batch statistics, and a Param of another type."""

    averages: Any

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.body = nnx.Sequential(nnx.Linear(2, 3, rngs=rngs), nnx.BatchNorm(3, rngs=rngs))
        self.gain = Gain(jnp.ones(3))


def net() -> Net:
    """Return a model whose leaves all have numbers of their own."""
    model: Net = numbered(Net, lambda place, leaf: ramp(1.0 + place, 1.5 + place, *leaf.shape))
    return model


def leaves(tree: Any, *only: Any) -> dict[Path, Any]:
    """Return the leaves of a module or a State by path, without the averages that are an attribute of a module."""
    state: Any = tree if isinstance(tree, nnx.State) else nnx.state(tree, *only)
    return {path: leaf for path, leaf in nnx.to_flat_state(state) if path[0] != "averages"}


def values(variables: dict[Path, Any]) -> Values:
    """Return copies of what leaves hold."""
    return {path: np.array(content(variable)) for path, variable in variables.items()}


def tracked(attempt: Attempt, model: nnx.Module) -> Any:
    """Return averages as `track` should, but with 10 less in each."""
    kind, params = attempt.get("EmaWeight"), values(leaves(model, nnx.Param))
    return nnx.from_flat_state({path: kind(array_of(value - 10)) for path, value in params.items()})


def names(attempt: Attempt) -> Iterator[Finding]:
    """EmaWeight is a Variable of its own that is not trained."""
    kind = attempt.get("EmaWeight")
    if isinstance(kind, type) and issubclass(kind, nnx.Variable):
        line, wanted = attempt.line("EmaWeight"), "`class EmaWeight(nnx.Variable)`"
        seen = f"`EmaWeight` is under nnx.{kind.__mro__[1].__name__}"
        if is_of_nnx(kind):
            raise Stop(Finding("alias", "EmaWeight", f"`EmaWeight` is nnx.{kind.__name__}", wanted, line))
        if issubclass(kind, nnx.Param):
            raise Stop(Finding("param", "EmaWeight", seen, wanted, line, _decayed(kind(jnp.ones(())))))
        if issubclass(kind, SPECIAL):
            raise Stop(Finding("type", "EmaWeight", seen, wanted, line))
    attempt.variable_type("EmaWeight")
    yield from ()


@apart
def tracking(attempt: Attempt) -> Iterator[Finding]:
    """What `track` returns has an EmaWeight with memory of its own for each Param."""
    attempt.function("track", "model")
    model, line = net(), attempt.line("track")
    before = values(leaves(model))
    averages = attempt.call("track(model)", model=model)
    yield from _changed(attempt, model, before, "track")
    if not isinstance(averages, nnx.State):
        raise Stop(Finding("result-type", "track", f"`track` returns {describe(averages)}", "an nnx.State", line))
    found, wanted = leaves(averages), leaves(model, nnx.Param)
    _labelled(attempt, averages, found)
    missing = [path for path in wanted if path not in found]
    extra = [path for path in found if path not in wanted]
    if missing and len(missing) == len(extra):
        raise Stop(Finding("paths", "averages", f"paths such as {extra[0]}", f"{missing[0]}", line))
    if missing:
        expected = f"{len(wanted)}, one for each Param"
        yield Finding("missing", "averages", f"none at {dotted(missing[0])}", expected, line)
    if extra:
        expected = f"{len(wanted)}, for the Params alone"
        yield Finding("extra", "averages", f"also {dotted(extra[0])}", expected, line)
    common = [path for path in found if path in wanted]
    for path in common:
        if not close(content(found[path]), before[path]):
            seen = f"{numbers(content(found[path]))} at {dotted(path)}"
            yield Finding("value", "averages", seen, f"{numbers(before[path])}, the numbers of the Param", line)
            break
    if shared := [path for path in common if content(found[path]) is content(wanted[path])]:
        jax.jit(lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0)(nnx.state(model, nnx.Param))
        lost = sum(content(leaf).is_deleted() for leaf in found.values())
        measured = f"After a step that donates the Params, {lost} of {len(found)} averages were deleted arrays."
        yield Finding("shared", "averages", f"one array for both at {dotted(shared[0])}", "a copy", line, measured)


@apart
def updating(attempt: Attempt) -> Iterator[Finding]:
    """An update moves each average by its share, in place, as an attribute of the model and under `nnx.jit` too."""
    attempt.function("update", "averages", "model", "decay")
    model, line = net(), attempt.line("update")
    averages = tracked(attempt, model)
    for decay in (0.9, 0.25):
        result = _updated(attempt, model, averages, decay)
    if result is not None:
        yield Finding("result-type", "update", f"`update` returns {describe(result)}", "nothing", line)
    for kind, what in {
        "attribute": "update(model.averages, model, 0.9)",
        "jit": "nnx.jit(lambda model: update(model.averages, model, 0.9))(model)",
    }.items():
        model = net()
        model.averages = nnx.data(tracked(attempt, model))
        wanted = _moved(values(leaves(model.averages)), values(leaves(model)), 0.9)
        try:
            attempt.call(what, model=model, nnx=nnx)
        except Exception as error:
            raise Stop(Finding(kind, "update", f"`{what}` raised {told(error)}", "no error", line)) from None
        after = leaves(model.averages)
        for path, value in wanted.items():
            if not close(content(after.get(path)), value):
                seen = f"after `{what}` {dotted(path)} is {_short(after.get(path))}"
                raise Stop(Finding(kind, "update", seen, numbers(value), line))


@apart
def evaluation(attempt: Attempt) -> Iterator[Finding]:
    """The copy holds the averages in Params, and shares no Variable with the model."""
    attempt.function("averaged", "model", "averages")
    model, line = net(), attempt.line("averaged")
    averages, variables = tracked(attempt, model), leaves(model)
    held, before = values(leaves(averages)), values(variables)
    result = attempt.call("averaged(model, averages)", model=model, averages=averages)
    for finding in _changed(attempt, model, before, "averaged"):
        lost = sum(not close(content(leaves(model).get(path)), value) for path, value in before.items())
        measured = f"Of the {len(before)} Variables of the model {lost} have lost their numbers."
        raise Stop(Finding("overwrites", "averaged", finding.seen, finding.expected, line, measured))
    if not isinstance(result, Net):
        raise Stop(Finding("result-type", "averaged", f"`averaged` returns {describe(result)}", "a Net", line))
    now = leaves(result)
    for path, variable in variables.items():
        leaf, value = now.get(path), held.get(path, before[path])
        if type(leaf) is not type(variable) or isinstance(content(leaf), nnx.Variable):
            seen = f"{describe(leaf)} at {dotted(path)}"
            wanted = f"a {type(variable).__name__} of float32"
            measured = f"In this copy `nnx.state(copy, nnx.Param)` finds {len(leaves(result, nnx.Param))} Params."
            raise Stop(Finding("type", "averaged", seen, wanted, line, measured))
        if not close(content(leaf), value):
            kind = formula_of(content(leaf), {"weights": before[path]}, otherwise="value") if path in held else "rest"
            wanted = f"{numbers(value)}, as in the {'averages' if path in held else 'model'}"
            raise Stop(Finding(kind, "averaged", f"{dotted(path)} of the copy is {_short(leaf)}", wanted, line))
    if shared := [path for path, variable in variables.items() if now.get(path) is variable]:
        result.body(jnp.ones((2, 2)))
        moved = sum(not close(content(variable), before[path]) for path, variable in variables.items())
        measured = f"One call of the copy changed {moved} Variables of the model."
        yield Finding("shared", "averaged", f"one Variable for both at {dotted(shared[0])}", "two", line, measured)
    model.averages = nnx.data(averages)
    attempt.call("averaged(model, model.averages)", model=model)


STAGES = (names, tracking, updating, evaluation)


def _short(leaf: Any) -> str:
    """Return the numbers of a leaf, or what else it holds."""
    return numbers(content(leaf)) if hasattr(content(leaf), "dtype") else describe(content(leaf))


def _labelled(attempt: Attempt, averages: Any, found: dict[Path, Any]) -> None:
    """Look at the type of each leaf that `track` returned.

    Raises:
        Stop: If one is no EmaWeight of an array.
    """
    kind, line = attempt.get("EmaWeight"), attempt.line("track")
    for path, leaf in found.items():
        nested = isinstance(content(leaf), nnx.Variable)
        if isinstance(leaf, kind) and not nested:
            continue
        role = "nested" if nested else home(leaf).replace("variable", "type")
        if role == "param":
            measured = _decayed(leaf)
        else:
            labelled = len(leaves(nnx.filter_state(averages, kind)))
            measured = f"The filter `EmaWeight` finds {labelled} of the {len(found)} leaves of this State."
        seen, expected = f"{describe(leaf)} at {dotted(path)}", "an EmaWeight of an array"
        raise Stop(Finding(role, "averages", seen, expected, line, measured))


def _updated(attempt: Attempt, model: nnx.Module, averages: Any, decay: float) -> Any:
    """Call `update` once, look at each average, and return what the call returned.

    Raises:
        Stop: If it raises, changes the model or the structure, or moves an average to another place.
    """
    line = attempt.line("update")
    what = f"update(averages, model, {decay})"
    parts = set(averages)
    kept, weights = leaves(averages), values(leaves(model))
    before = values(kept)
    try:
        result = attempt.call(what, averages=averages, model=model)
    except (NotImplementedError, ValueError) as error:
        for kind in [kind for text, kind in RAISED.items() if text in str(error)]:
            raise Stop(Finding(kind, "update", f"`{what}` raised {told(error)}", "no error", line)) from None
        raise
    for finding in _changed(attempt, model, weights, "update"):
        raise Stop(finding)
    now, after = leaves(averages) if set(averages) == parts else {}, values(kept)
    for path, wanted in _moved(before, weights, decay).items():
        expected = f"{numbers(wanted)} where the Param is {numbers(weights[path])}"
        if now.get(path) is not kept[path]:
            seen = f"`{what}` puts another object at {dotted(path)}"
            raise Stop(Finding("replaced", "averages", seen, "the EmaWeight from before", line))
        if close(after[path], before[path]):
            seen = f"`{what}` leaves {dotted(path)} at {numbers(before[path])}"
            raise Stop(Finding("unchanged", "averages", seen, expected, line))
        if not close(after[path], wanted):
            kind, seen = _mistaken_update(path, after[path], before[path], weights, decay)
            raise Stop(Finding(kind, "update", f"`{what}` {seen}", expected, line))
    return result


def _changed(attempt: Attempt, model: nnx.Module, before: Values, called: str) -> Iterator[Finding]:
    """Yield the first Variable of the model that a function has changed."""
    now = leaves(model)
    for path, value in before.items():
        if not close(content(now.get(path)), value):
            seen = f"`{called}` turns {dotted(path)} of the model into {_short(now.get(path))}"
            yield Finding("changed", "model", seen, f"{numbers(value)}, as before", attempt.line(called))
            return


def _moved(averages: Values, weights: Values, decay: float) -> Values:
    """Return what an update makes of averages."""
    return {path: average + (1 - decay) * (weights[path] - average) for path, average in averages.items()}


def _mistaken_update(path: Path, after: Any, average: Any, weights: Values, decay: float) -> tuple[str, str]:
    """Name the formula of an update that is another one: its kind and what it did."""
    for other, value in weights.items():
        if value.shape == average.shape and close(after, average + (1 - decay) * (value - average)):
            return "pairs", f"moves {dotted(path)} towards {dotted(other)}"
    shares = {"swapped": decay, "overwrites": 1, "sign": decay - 1}
    formulas = {kind: average + share * (weights[path] - average) for kind, share in shares.items()}
    return formula_of(after, formulas), f"turns {dotted(path)} from {numbers(average)} into {numbers(after)}"


def _decayed(average: Any) -> str:
    """Say what a step of AdamW makes of an average that is a Param."""
    now = decayed(nnx.Dict(average=average), "average", start=1.0, weight_decay=0.5)
    return f"One step of adamw(0.1, weight_decay=0.5) turned an average of 1 into {np.mean(now):.4g}."
