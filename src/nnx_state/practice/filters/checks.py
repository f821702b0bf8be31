"""Checks of the exercise Filters."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.nnx.filterlib import to_predicate

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, describe

Twin = type("Param", (nnx.Variable,), {})  # another class with the name of a class of NNX


class Model(nnx.Module):
    """Leaves of all kinds, with names that are easily mistaken for each other."""

    def __init__(self) -> None:
        self.dense = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
        self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
        self.adapter = nnx.LoRAParam(jnp.ones((4, 2)))
        self.bias = nnx.Dict(inner=nnx.Param(jnp.ones(2)))
        self.deep = nnx.Dict(inner=nnx.Dict(bias=nnx.Param(jnp.ones(13))))
        self.unbias = nnx.Variable(jnp.zeros((5, 1)))
        self.twin = Twin(jnp.zeros(2))
        self.seen = jnp.zeros(())
        self.steps = nnx.List([nnx.Param(jnp.ones(7)), nnx.Param(jnp.ones(11))])


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    for name, argument in {"Exactly": "kind", "Attribute": "name", "sizes": "model"}.items():
        with contextlib.suppress(ValueError):  # a class that derives from str has no signature
            attempt.function(name, argument)
    yield from ()


def exactly(attempt: Attempt) -> Iterator[Finding]:
    """A class matches itself, and neither subclasses nor superclasses nor namesakes."""
    for kind in (nnx.Param, nnx.Variable, nnx.LoRAParam):
        what = f"Exactly(nnx.{kind.__name__})"
        leaves = _leaves(Model())
        found = _matches(attempt, "Exactly", what, leaves)
        wanted = {path for path, leaf in leaves.items() if type(leaf) is kind}
        more = {type(leaves[path]): path for path in sorted(found - wanted, key=str)}
        if found == wanted:
            continue
        wrong = "other"
        if more and not wanted - found:
            if Twin in more:
                wrong = "namesake"
            elif all(issubclass(other, kind) for other in more):
                wrong = "subclass"
            elif all(issubclass(kind, other) for other in more):
                wrong = "superclass"
        seen = (
            f"`{what}` matches {_listed(found - wanted, leaves)}" if more else f"`{what}` matches {len(found)} leaves"
        )
        numbers = sum(np.size(leaves[path]) for path in found - wanted)
        measured = f"Leaves of this model that it takes too many: {len(found - wanted)}, with {numbers} numbers."
        expected = f"the {len(wanted)} leaves of the class itself"
        yield Finding(wrong, "Exactly", seen, expected, attempt.line("Exactly"), measured if more else "")
        return


def attribute(attempt: Attempt) -> Iterator[Finding]:
    """The last part of a path matches as a whole, be it a str or an int."""
    leaves, line = _leaves(Model()), attempt.line("Attribute")
    spelled = {path: leaf for path, leaf in leaves.items() if isinstance(path[-1], str)}
    what = "Attribute('bias')"
    found = _matches(attempt, "Attribute", what, spelled)
    wanted = {path for path in spelled if path[-1] == "bias"}
    if found != wanted:
        kinds = {
            "anywhere": {path for path in spelled if "bias" in path},
            "first": {path for path in spelled if path[0] == "bias"},
            "piece": {path for path in spelled if "bias" in path[-1]},
            "piece-anywhere": {path for path in spelled if "bias" in str(path)},
        }
        kind = next((kind for kind, paths in kinds.items() if paths == found), "other").partition("-")[0]
        seen = f"`{what}` matches {_listed(found, leaves) or 'nothing'}"
        yield Finding(kind, "Attribute", seen, _listed(wanted, leaves), line)
        return
    try:
        found = _matches(attempt, "Attribute", "Attribute(1)", leaves)
        seen = f"`Attribute(1)` matches {_listed(found, leaves) or 'nothing'}"
    except (TypeError, AttributeError) as error:
        found, seen = set(), f"{attempt.calling} raised {type(error).__name__}: {error}"
    if found != {("steps", 1)}:
        yield Finding("integer", "Attribute", seen, "steps.1", line)


def equality(attempt: Attempt) -> Iterator[Finding]:
    """Filters of equal arguments are equal and hash alike, and others are not equal."""
    for name, arguments in (("Exactly", ("nnx.Param", "nnx.Variable")), ("Attribute", ("'bias'", "'kernel'"))):
        what, other = (f"{name}({argument})" for argument in arguments)
        line = attempt.line(name)
        try:
            attempt.call(f"{what} == ...", nnx=nnx)
        except (AttributeError, TypeError) as error:
            seen = f"`{what} == ...` raised {type(error).__name__}: {error}"
            yield Finding("eq-raises", name, seen, "False", line)
            continue
        if not attempt.call(f"{what} == {what}", nnx=nnx):
            seen, measured = f"`{what} == {what}` is False", _traces(attempt, what)
            yield Finding("unequal", name, seen, "True", line, measured)
        elif attempt.call(f"{what} == {other}", nnx=nnx):
            yield Finding("all-equal", name, f"`{what} == {other}` is True", "False", line)
        else:
            yield from _hash(attempt, name, what)


def _hash(attempt: Attempt, name: str, what: str) -> Iterator[Finding]:
    line = attempt.line(name)
    try:
        pair = attempt.call(f"({what}, {what})", nnx=nnx)  # both live, so that they cannot share an id
        alike = hash(pair[0]) == hash(pair[1])
    except TypeError as error:
        yield Finding("unhashable", name, f"`hash({what})` raised TypeError: {error}", "a hash", line)
        return
    if not alike:
        yield Finding("hash", name, "equal filters have different hashes", "one hash", line, _traces(attempt, what))


def counts(attempt: Attempt) -> Iterator[Finding]:
    """Each leaf counts in the first group that matches, by its numbers."""
    model, line = Model(), attempt.line("sizes")
    filters: dict[str, Any] = {"lora": nnx.LoRAParam, "trained": nnx.Param, "caches": nnx.Cache}
    filters |= {"averages": lambda path, leaf: path[-1] in ("mean", "var"), "rest": ...}
    groups = nnx.split(model, *filters.values())[1:]
    wanted = {name: _size(group) for name, group in zip(filters, groups, strict=True)}
    shown = "lora=nnx.LoRAParam, trained=nnx.Param, caches=nnx.Cache, averages=<callable>, rest=..."
    before = set(_leaves(model))
    with attempt.does(f"`sizes(model, {shown})`"):
        found = attempt.module.sizes(model, **filters)
    if lost := before - set(_leaves(model)):
        seen = f"after the call the model has no {', '.join(sorted('.'.join(map(str, path)) for path in lost))}"
        yield Finding("pops", "sizes", seen, "the model stays as it is", line)
        return
    if not isinstance(found, dict):
        yield Finding("result-type", "sizes", describe(found), "a dict", line)
    elif not all(isinstance(value, (int, np.integer)) for value in found.values()):
        wrong = next(value for value in found.values() if not isinstance(value, (int, np.integer)))
        yield Finding("result-type", "sizes", f"a dict with {describe(wrong)}", "a dict of ints", line)
    elif dropped := set(wanted) - set(found):
        seen = f"no {', '.join(sorted(dropped))} in {found}"
        yield Finding("drops-group", "sizes", seen, f"{wanted}", line)
    elif found != wanted:
        alone = {name: nnx.state(model, one) for name, one in filters.items()}
        ways = {
            "twice": {name: _size(state) for name, state in alone.items()},
            "leaves": {name: len(jax.tree.leaves(group)) for name, group in zip(filters, groups, strict=True)},
            "twice-leaves": {name: len(jax.tree.leaves(state)) for name, state in alone.items()},
            "bytes": {name: 4 * size for name, size in wanted.items()},
            "unlabelled": wanted | {"rest": wanted["rest"] - 1},
        }
        kind = next((kind for kind, way in ways.items() if way == found), "result-value").partition("-leaves")[0]
        measured = ""
        if found == ways["twice"]:
            measured = f"The groups hold {sum(found.values())} numbers together, the model has {sum(wanted.values())}."
        yield Finding(kind, "sizes", f"{found}", f"{wanted}", line, measured)
    elif list(found) != list(wanted):
        yield Finding("order", "sizes", ", ".join(found), ", ".join(wanted), line)


def remainder(attempt: Attempt) -> Iterator[Finding]:
    """A leaf that no filter matches raises ValueError."""
    line = attempt.line("sizes")
    try:
        with attempt.does("`sizes(model, trained=nnx.Param)`"):
            found = attempt.module.sizes(Model(), trained=nnx.Param)
    except ValueError:
        return
    except NotImplementedError:
        raise
    except Exception as error:
        seen = f"{attempt.calling} raised {type(error).__name__}: {error}"
        yield Finding("error", "sizes", seen, "ValueError", line)
        return
    measured = ""
    if isinstance(found, dict) and all(isinstance(value, (int, np.integer)) for value in found.values()):
        measured = (
            f"It counts {sum(found.values())} of {_size(nnx.state(Model()))} numbers, and says nothing of the rest."
        )
    yield Finding("silent", "sizes", f"{attempt.calling} returned {found}", "ValueError", line, measured)


STAGES = (names, exactly, attribute, equality, counts, remainder)


def _leaves(model: Any) -> dict[tuple[Any, ...], Any]:
    return dict(nnx.to_flat_state(nnx.state(model)))


def _size(state: Any) -> int:
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(state))


def _listed(paths: Any, leaves: dict[tuple[Any, ...], Any]) -> str:
    """Name up to three leaves with their classes."""
    shown = [f"{'.'.join(map(str, path))} ({type(leaves[path]).__name__})" for path in sorted(paths, key=str)]
    shown = [text.replace("ArrayImpl", "an array") for text in shown]
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


def _matches(attempt: Attempt, name: str, what: str, leaves: dict[tuple[Any, ...], Any]) -> set[tuple[Any, ...]]:
    """Return the paths of the leaves that a filter matches, asked one by one."""
    line = attempt.line(name)
    asked = attempt.call(what, nnx=nnx)
    if not callable(asked):
        raise Stop(Finding("no-filter", name, f"`{what}` is {describe(asked)}", "something that is called", line))
    if to_predicate(asked) is not asked:
        finds = len(_leaves(nnx.state(Model(), asked)))
        seen = f"`{what}` is {describe(asked)}, and `nnx.state(model, {what})` finds {finds} leaves"
        raise Stop(Finding("short-form", name, seen, "NNX calls it for each leaf", line))
    found = set()
    for path, leaf in leaves.items():
        with attempt.does(f"`{what}({path}, leaf)`"):
            answer = asked(path, leaf)
        if not isinstance(answer, (bool, np.bool)):
            raise Stop(Finding("result-type", name, f"{attempt.calling} is {describe(answer)}", "a bool", line))
        found |= {path} if answer else set()
    return found


def _traces(attempt: Attempt, what: str) -> str:
    """Count the traces of a step that takes the filter as a static argument."""
    traces = []
    step = jax.jit(lambda x, wanted: traces.append("trace"), static_argnums=1)
    for wanted in attempt.call(f"({what}, {what}, {what})", nnx=nnx):
        step(jnp.zeros(()), wanted)
    return f"A compiled step that was given `{what}` three times, made anew each time, took {len(traces)} traces."
