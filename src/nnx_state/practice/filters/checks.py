"""Checks of the exercise Filters.

The two filters are asked about each leaf of one model, whose leaves have names and classes that are easily mistaken
for each other; then they are compared with each other, with what they are made from, and hashed. Then `sizes` counts
the groups of that model, and last it is given filters that leave something over. Each of the three is checked whatever
is wrong with the others.
"""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.nnx.filterlib import to_predicate

from nnx_state._paths import dotted
from nnx_state.practice.damage import traces
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import first_that_holds
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import apart, needs
from nnx_state.practice.values import array_of, describe

Path = tuple[Any, ...]
Leaves = dict[Path, Any]
Twin = type("Param", (nnx.Variable,), {})  # another class with the name of a class of NNX


class Model(nnx.Module):
    """Leaves of all kinds, with names that are easily mistaken for each other."""

    def __init__(self) -> None:
        self.dense = nnx.Dict(kernel=nnx.Param(_zeros(4, 3)), bias=nnx.Param(_zeros(3)))
        params = {name: nnx.Param(_zeros(3)) for name in ("scale", "bias")}
        self.norm = nnx.Dict(params | {name: nnx.BatchStat(_zeros(3)) for name in ("mean", "var")})
        self.adapter = nnx.LoRAParam(_zeros(4, 2))
        self.bias = nnx.Dict(inner=nnx.Param(_zeros(2)))
        self.deep = nnx.Dict(inner=nnx.Dict(bias=nnx.Param(_zeros(13))))
        self.unbias = nnx.Variable(_zeros(5, 1))
        self.twin = Twin(_zeros(2))
        self.seen = _zeros()
        self.steps = nnx.List([nnx.Param(_zeros(7)), nnx.Param(_zeros(11))])


@apart
def exactly_made(attempt: Attempt) -> Iterator[Finding]:
    """`Exactly` makes something that NNX can call for each leaf."""
    yield from _made(attempt, "Exactly", "kind", "Exactly(nnx.Param)")


@apart
@needs(exactly_made)
def exactly(attempt: Attempt) -> Iterator[Finding]:
    """A class matches itself, and neither subclasses nor superclasses nor namesakes."""
    leaves = _leaves(Model())
    for kind in (nnx.Param, nnx.Variable, nnx.LoRAParam):
        what = f"Exactly(nnx.{kind.__name__})"
        found = _matches(attempt, "Exactly", what, leaves)
        wanted = {path for path, leaf in leaves.items() if type(leaf) is kind}
        if found == wanted:
            continue
        more, line = found - wanted, attempt.line("Exactly")
        expected = f"the {len(wanted)} leaves of the class itself"
        if not more:
            yield Finding("other", "Exactly", f"`{what}` matches {len(found)} leaves", expected, line)
            return
        others = {type(leaves[path]) for path in more}
        reasons = {
            "namesake": Twin in others,
            "subclass": all(issubclass(other, kind) for other in others),
            "superclass": all(issubclass(kind, other) for other in others),
        }
        reason = "other" if wanted - found else first_that_holds(reasons, otherwise="other")
        seen = f"`{what}` matches {_listed(more, leaves)}"
        count = sum(np.size(leaves[path]) for path in more)
        measured = f"Leaves of this model that it takes too many: {len(more)}, with {count} numbers."
        yield Finding(reason, "Exactly", seen, expected, line, measured)
        return


@apart
def attribute_made(attempt: Attempt) -> Iterator[Finding]:
    """`Attribute` makes something that NNX can call for each leaf."""
    yield from _made(attempt, "Attribute", "name", "Attribute('bias')")


@apart
@needs(attribute_made)
def attribute(attempt: Attempt) -> Iterator[Finding]:
    """The last part of a path matches as a whole, be it a str or an int."""
    leaves, line = _leaves(Model()), attempt.line("Attribute")
    spelled = {path: leaf for path, leaf in leaves.items() if isinstance(path[-1], str)}
    found = _matches(attempt, "Attribute", "Attribute('bias')", spelled)
    wanted = {path for path in spelled if path[-1] == "bias"}
    if found != wanted:
        readings = {
            "anywhere": found == {path for path in spelled if "bias" in path},
            "first": found == {path for path in spelled if path[0] == "bias"},
            "piece": found
            in ({path for path in spelled if "bias" in path[-1]}, {path for path in spelled if "bias" in str(path)}),
        }
        seen = f"`Attribute('bias')` matches {_listed(found, leaves)}"
        yield Finding(first_that_holds(readings, "other"), "Attribute", seen, _listed(wanted, leaves), line)
        return
    try:
        found = _matches(attempt, "Attribute", "Attribute(1)", leaves)
        seen = f"`Attribute(1)` matches {_listed(found, leaves)}"
    except (TypeError, AttributeError) as error:
        found, seen = set(), f"{attempt.calling} raised {type(error).__name__}: {error}"
    if found != {("steps", 1)}:
        yield Finding("integer", "Attribute", seen, "steps.1", line)


@needs(exactly_made)
def exactly_equal(attempt: Attempt) -> Iterator[Finding]:
    """Two `Exactly` of one class are equal and hash alike, and equal nothing else."""
    yield from _equality(attempt, "Exactly", "nnx.Param", ("nnx.Variable", "twin"))


@needs(attribute_made)
def attribute_equal(attempt: Attempt) -> Iterator[Finding]:
    """Two `Attribute` of one name are equal and hash alike, and equal nothing else."""
    yield from _equality(attempt, "Attribute", "'1'", ("'kernel'", "1"))


@apart
def sizes_there(attempt: Attempt) -> Iterator[Finding]:
    """`sizes` is there."""
    attempt.function("sizes", "model")
    yield from ()


@needs(sizes_there)
def counts(attempt: Attempt) -> Iterator[Finding]:
    """Each leaf counts in the first group that matches, by its numbers."""
    model, line = Model(), attempt.line("sizes")
    filters: dict[str, Any] = {
        "lora": nnx.LoRAParam,
        "trained": nnx.Param,
        "caches": nnx.Cache,
        "averages": lambda path, leaf: path[-1] in ("mean", "var"),
        "rest": ...,
    }
    shown = "lora=nnx.LoRAParam, trained=nnx.Param, caches=nnx.Cache, averages=<callable>, rest=..."
    groups = dict(zip(filters, nnx.split(model, *filters.values())[1:], strict=True))
    wanted = {name: _size(group) for name, group in groups.items()}
    before = set(_leaves(model))
    with attempt.does(f"`sizes(model, {shown})`"):
        found = attempt.module.sizes(model, **filters)
    if lost := before - set(_leaves(model)):
        seen = f"after the call the model has no {', '.join(sorted(map(dotted, lost)))}"
        yield Finding("pops", "sizes", seen, "the model stays as it is", line)
    elif not isinstance(found, dict):
        yield Finding("result-type", "sizes", describe(found), "a dict", line)
    elif odd := [value for value in found.values() if not _is_integer(value)]:
        yield Finding("result-type", "sizes", f"a dict with {describe(odd[0])}", "a dict of ints", line)
    elif dropped := set(wanted) - set(found):
        seen = f"no {', '.join(sorted(dropped))} in {found}"
        yield Finding("drops-group", "sizes", seen, f"{wanted}", line)
    elif found != wanted:
        alone = {name: nnx.state(model, one) for name, one in filters.items()}
        twice = {name: _size(state) for name, state in alone.items()}
        leaves, leaves_twice = (
            {name: len(jax.tree.leaves(state)) for name, state in states.items()} for states in (groups, alone)
        )
        mistakes = {
            "twice": found in (twice, leaves_twice),
            "leaves": found == leaves,
            "bytes": found == {name: 4 * size for name, size in wanted.items()},
            "unlabelled": found == wanted | {"rest": wanted["rest"] - 1},
        }
        measured = ""
        if found == twice:
            measured = f"The groups hold {sum(found.values())} numbers together, the model has {sum(wanted.values())}."
        kind = first_that_holds(mistakes, otherwise="result-value")
        yield Finding(kind, "sizes", f"{found}", f"{wanted}", line, measured)
    elif list(found) != list(wanted):
        yield Finding("order", "sizes", ", ".join(found), ", ".join(wanted), line)


@needs(sizes_there)
def remainder(attempt: Attempt) -> Iterator[Finding]:
    """A leaf that no filter matches raises ValueError."""
    line, what = attempt.line("sizes"), "`sizes(model, trained=nnx.Param)`"
    try:
        with attempt.does(what):
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
    if isinstance(found, dict) and all(map(_is_integer, found.values())):
        every = _size(nnx.state(Model()))
        measured = f"It counts {sum(found.values())} of {every} numbers, and says nothing of the rest."
    yield Finding("silent", "sizes", f"{what} returned {found}", "ValueError", line, measured)


STAGES = (
    exactly_made,
    exactly,
    attribute_made,
    attribute,
    exactly_equal,
    attribute_equal,
    sizes_there,
    counts,
    remainder,
)


def _zeros(*shape: int) -> jax.Array:
    """Return zeros that NumPy makes: JAX would compile a function for each shape."""
    return array_of(np.zeros(shape, np.float32))


def _leaves(model: Any) -> Leaves:
    """Return the leaves of a model by their paths, whose parts a filter is given."""
    return dict(nnx.to_flat_state(nnx.state(model)))


def _size(state: Any) -> int:
    """Return how many numbers a State holds."""
    return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(state))


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer))


def _listed(paths: Collection[Path], leaves: Leaves) -> str:
    """Name up to three leaves with their classes."""
    shown = []
    for path in sorted(paths, key=str):
        kind = type(leaves[path]).__name__.replace("ArrayImpl", "an array")
        shown.append(f"{dotted(path)} ({kind})")
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return ", ".join(shown[:3]) + more or "nothing"


def _made(attempt: Attempt, name: str, argument: str, what: str) -> Iterator[Finding]:
    """Yield what is wrong with what a call makes: NNX has to take it for a filter, and to call it for each leaf."""
    attempt.function(name, argument)
    asked, line = attempt.call(what, nnx=nnx), attempt.line(name)
    if not callable(asked):
        yield Finding("no-filter", name, f"`{what}` is {describe(asked)}", "something that is called", line)
    elif to_predicate(asked) is not asked:
        finds = len(_leaves(nnx.state(Model(), asked)))
        seen = f"`{what}` is {describe(asked)}, and `nnx.state(model, {what})` finds {finds} leaves"
        yield Finding("short-form", name, seen, "NNX calls it for each leaf", line)


def _matches(attempt: Attempt, name: str, what: str, leaves: Leaves) -> set[Path]:
    """Return the paths of the leaves that a filter matches, asked one by one."""
    line = attempt.line(name)
    asked = attempt.call(what, nnx=nnx)
    found = set()
    for path, leaf in leaves.items():
        call = f"`{what}({path}, leaf)`"
        with attempt.does(call):
            answer = asked(path, leaf)
        if not isinstance(answer, (bool, np.bool)):
            raise Stop(Finding("result-type", name, f"{call} is {describe(answer)}", "a bool", line))
        if answer:
            found.add(path)
    return found


def _equality(attempt: Attempt, name: str, argument: str, others: tuple[str, str]) -> Iterator[Finding]:
    """Yield the first thing that is wrong with how a filter compares, and then with its hash."""
    what, line = f"{name}({argument})", attempt.line(name)

    def equals(other: str) -> bool:
        return bool(attempt.call(f"{what} == {other}", nnx=nnx, twin=Twin))

    try:
        foreign = [other for other in ("...", "None", argument, f"({argument},)", f"[{argument}]") if equals(other)]
    except (AttributeError, TypeError) as error:
        seen = f"{attempt.calling} raised {type(error).__name__}: {error}"
        yield Finding("eq-raises", name, seen, "False", line)
        return
    if not equals(what):
        seen, measured = f"`{what} == {what}` is False", _retraced(attempt, what)
        yield Finding("unequal", name, seen, "True", line, measured)
    elif foreign:
        yield Finding("equals-foreign", name, f"`{what} == {foreign[0]}` is True", "False", line)
    elif alike := [other for other in others if equals(f"{name}({other})")]:
        yield Finding("all-equal", name, f"`{what} == {name}({alike[0]})` is True", "False", line)
    else:
        yield from _hash(attempt, name, what)


def _hash(attempt: Attempt, name: str, what: str) -> Iterator[Finding]:
    """Yield what is wrong with the hashes of two filters that are equal."""
    line = attempt.line(name)
    try:
        pair = attempt.call(f"({what}, {what})", nnx=nnx)  # both live, so that they cannot share an id
        alike = hash(pair[0]) == hash(pair[1])
    except TypeError as error:
        yield Finding("unhashable", name, f"`hash({what})` raised TypeError: {error}", "a hash", line)
        return
    if not alike:
        measured = _retraced(attempt, what)
        yield Finding("hash", name, "equal filters have different hashes", "one hash", line, measured)


def _retraced(attempt: Attempt, what: str) -> str:
    """Count the traces of a step that takes the filter as a static argument."""
    made_anew = attempt.call(f"({what}, {what}, {what})", nnx=nnx)
    calls = [(jnp.zeros(()), wanted) for wanted in made_anew]
    taken = traces(lambda x, wanted: None, calls, partial(jax.jit, static_argnums=1))
    return f"A compiled step that was given `{what}` three times, made anew each time, took {taken} traces."
