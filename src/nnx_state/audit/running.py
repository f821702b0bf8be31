"""Call copies of a model, and see what the calls do to them."""

import inspect
import math
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy
from flax import nnx

from nnx_state._bits import inside
from nnx_state._hidden import walk
from nnx_state._paths import dotted, leaves
from nnx_state.audit.lines import Place
from nnx_state.audit.table import Row, table
from nnx_state.homes import kinds

Inputs = tuple[Any, ...] | dict[str, Any]
PLAIN = (bool, int, float, str, type(None))
CONTAINERS = (list, dict, set, deque)
Arrays = list[numpy.ndarray[Any, Any]]
MODES = {"train", "training", "is_training", "deterministic", "use_running_average", "inference"}
FRAMEWORKS = (jax.__path__[0], flax.__path__[0], str(Path(__file__).parent))  # where no user's line stands


class CallError(Exception):
    """The model raised when it was called, or cannot be called."""


@dataclass(frozen=True)
class Effects:
    """What one call does to the values of a model.

    Attributes:
        written: how much it changes each leaf that it writes, in words, by path.
        settings: the static values that it changes, in words, by path, before and after.
        added: the rows of the plain arrays that it adds.
        spoilt: how many numbers of a leaf, all finite before, are NaN or infinite after it, by path.
        steps: by how much it raises each float that holds one whole number, by path.
    """

    written: dict[str, str] = field(default_factory=dict)
    settings: dict[str, tuple[str, str]] = field(default_factory=dict)
    added: list[Row] = field(default_factory=list)
    spoilt: dict[str, int] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """What the program of a call says, as JAX traces it.

    Attributes:
        unused: the paths of the Params on which no output depends.
        lost: the paths of the Variables that a function under a transform of JAX writes, and that stay as they were.
        forms: the shapes and dtypes of each leaf after no call, after one and after two; after none and one where the
            first changes none; empty where nothing could be traced.
    """

    unused: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    forms: list[dict[str, str]] = field(default_factory=list)


class Call:
    """What calls of a model do; each call is made when a rule asks for it first.

    Args:
        model: with numbers; it is not changed.
        inputs: the positional arguments of a call, or a dict of keyword arguments; None if nothing is called.

    Raises:
        CallError: If the model cannot be called with them.
    """

    def __init__(self, model: nnx.Module, inputs: Inputs | None) -> None:
        self._model = model
        self._inputs = inputs
        self._training = Effects() if inputs is None else _effects(model, inputs, train=True)

    @property
    def written(self) -> dict[str, str]:
        """Return what a call in training writes, by path: how much it changes, in words."""
        return self._training.written

    @property
    def settings(self) -> dict[str, tuple[str, str]]:
        """Return the static values that a call changes, by path, before and after."""
        return self._training.settings

    @property
    def added(self) -> list[Row]:
        """Return the rows of the plain arrays that a call adds to the model."""
        return self._training.added

    @property
    def spoilt(self) -> dict[str, int]:
        """Return how many numbers a call makes NaN or infinite, by path, where all were finite."""
        return self._training.spoilt

    @cached_property
    def written_in_eval(self) -> dict[str, str]:
        """Return what a call after `model.eval()` writes; nothing where an argument tells the mode."""
        if self._inputs is None or _takes_a_mode(self._model):
            return {}
        return _effects(self._model, self._inputs, train=False).written

    @property
    def unused(self) -> set[str]:
        """Return the paths of the Params on which no output depends."""
        return self._program.unused

    @property
    def lost(self) -> set[str]:
        """Return the paths of the Variables whose writing is lost in a transform of JAX."""
        return self._program.lost

    @property
    def forms(self) -> list[dict[str, str]]:
        """Return the shapes and dtypes of each leaf, after each of up to two calls."""
        return self._program.forms

    @cached_property
    def limits(self) -> dict[str, float]:
        """Return where the floats that count stand still: the number that a call leaves as it is, by path."""
        if self._inputs is None:
            return {}
        found = {path: _limit(self._model, self._inputs, path, step) for path, step in self._training.steps.items()}
        return {path: limit for path, limit in found.items() if limit is not None}

    @cached_property
    def reused(self) -> tuple[str, Place | None] | None:
        """Return what JAX says where two draws take one key, in two calls, and the line; None where none do."""
        return None if self._inputs is None else _reused(self._model, self._inputs)

    @cached_property
    def _program(self) -> Program:
        return Program() if self._inputs is None else _program(self._model, self._inputs)


def _takes_a_mode(model: nnx.Module) -> bool:
    """Tell whether a call is told its mode by an argument, so that `model.eval()` alone does not say it."""
    if not callable(model):
        return False
    return bool(MODES & inspect.signature(type(model).__call__).parameters.keys())


def _copied(model: nnx.Module, *, train: bool) -> Any:
    copy: Any = nnx.clone(model, arrays=True)
    (copy.train if train else copy.eval)()
    return copy


def _called(model: Any, inputs: Inputs) -> Any:
    if not callable(model):
        raise CallError(f"its class {type(model).__name__} has no __call__, so that it cannot be called.")
    try:
        return model(**inputs) if isinstance(inputs, dict) else model(*inputs)
    except Exception as error:
        raise CallError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _kept(model: nnx.Module) -> Iterator[Callable[[], dict[str, tuple[str, str]]]]:
    """Bring back, after a call of a copy, what the state does not hold: the copy shares it with the model.

    Yields:
        A function that tells the containers of Python that were changed in place, by path, before and after.
    """
    shared = list(walk(model))
    variables = [(value, value.get_raw_value()) for _, value in shared if isinstance(value, nnx.Variable)]
    containers = [(dotted(path), value, type(value)(value)) for path, value in shared if type(value) in CONTAINERS]

    def changed() -> dict[str, tuple[str, str]]:
        return {path: _change_of(old, new) for path, new, old in containers if _content(old) != _content(new)}

    try:
        yield changed
    finally:
        for variable, raw in variables:
            if variable.get_raw_value() is not raw:
                variable.set_raw_value(raw)
        for _, container, content in containers:
            if _content(container) != _content(content):
                container.clear()
                (container.update if isinstance(container, dict | set) else container.extend)(content)


def _content(container: Any) -> list[int]:
    """Return what tells the content of a container from another: which objects it holds."""
    return [id(one) for one in (*container, *(container.values() if isinstance(container, dict) else ()))]


def _change_of(old: Any, new: Any) -> tuple[str, str]:
    kind = type(old).__name__
    return f"a {kind} of {len(old)}", f"a {kind} of {len(new)}{' others' * (len(old) == len(new))}"


def _effects(model: nnx.Module, inputs: Inputs, *, train: bool) -> Effects:
    """Call a copy, and compare all that it holds."""
    copy = _copied(model, train=train)
    before, settings = _numbers(copy), _settings(copy) if train else {}
    with _kept(copy) as changed:
        _called(copy, inputs)
        after = _numbers(copy)
        both = {path: (arrays, after[path]) for path, arrays in before.items() if path in after}
        written = {path: _change(*pair) for path, pair in both.items() if not _is_same(*pair)}
        if not train:
            return Effects(written)
        later = _settings(copy)
        pairs = {path: (value, later[path]) for path, value in settings.items() if path in later}
        moved = {path: (_shown(old), _shown(new)) for path, (old, new) in pairs.items() if _differs(old, new)}
        new = after.keys() - before.keys()
        added = [row for row in table(copy) if row.home == "array" and row.path in new] if new else []
        spoilt = {path: _not_finite(pair[1]) for path, pair in both.items() if not _not_finite(pair[0])}
        steps = {path: _step(*both[path]) for path in written}
        return Effects(
            written,
            moved | {path: change for path, change in changed().items() if path in settings},
            added,
            {path: count for path, count in spoilt.items() if count},
            {path: step for path, step in steps.items() if step},
        )


def _differs(before: Any, after: Any) -> bool:
    if before is after:  # one NaN is itself, and not equal to itself
        return False
    try:
        return bool(before != after)
    except (TypeError, ValueError):  # such as a tuple of arrays
        return True


def _shown(value: Any) -> str:
    """Return a static value for a sentence: the same text in each run."""
    return repr(value) if isinstance(value, PLAIN) else f"one {type(value).__name__}"


def _numbers(model: nnx.Module) -> dict[str, Arrays]:
    """Return copies of the arrays of each leaf, since a call may write into them."""
    return {
        path: [numpy.array(inside(jnp.asarray(value))) for value in jax.tree.leaves(leaf)]
        for path, leaf in leaves(model)
    }


def _is_same(before: Arrays, after: Arrays) -> bool:
    told = [[(array.shape, array.dtype, array.tobytes()) for array in arrays] for arrays in (before, after)]
    return told[0] == told[1]


def _change(before: Arrays, after: Arrays) -> str:
    """Say how much a leaf changed."""
    if [array.shape for array in before] != [array.shape for array in after]:
        return "its shape is another one"
    pairs = zip(before, after, strict=True)
    most = max(abs(new.astype(complex) - old.astype(complex)).max() for old, new in pairs)
    return f"by up to {most:.3g}"


def _not_finite(arrays: Arrays) -> int:
    """Count the NaNs and infinities."""
    floats = [array for array in arrays if jnp.issubdtype(array.dtype, jnp.inexact)]
    return sum(int((~numpy.isfinite(array.astype(complex))).sum()) for array in floats)


def _step(before: Arrays, after: Arrays) -> float:
    """Return by which whole number a float was raised from one whole number to another; 0 if it was not."""
    if [array.size for array in (*before, *after)] != [1, 1] or not jnp.issubdtype(before[0].dtype, jnp.floating):
        return 0.0
    old, new = float(before[0].item()), float(after[0].item())
    return new - old if old.is_integer() and new.is_integer() and new > old else 0.0


def _limit(model: nnx.Module, inputs: Inputs, path: str, step: float) -> float | None:
    """Return the number from which on a call does not raise a float any more; None where it did not count."""
    leaf = _leaf(model, path)
    if isinstance(leaf, nnx.Param) or not isinstance(leaf, nnx.Variable):
        return None
    kind = jnp.finfo(leaf.get_raw_value().dtype)  # type: ignore[no-untyped-call]
    limit = 2.0 ** (kind.nmant + 1 + math.ceil(math.log2(step)))
    if limit > float(kind.max):
        return None
    counts = [_counted(model, inputs, path, start) for start in (limit / 4, limit)]
    return limit if counts == [limit / 4 + step, limit] else None


def _counted(model: nnx.Module, inputs: Inputs, path: str, start: float) -> float:
    """Return what a float holds after a call in training that began with a number."""
    copy = _copied(model, train=True)
    variable = _leaf(copy, path)
    variable.set_raw_value(jnp.full_like(variable.get_raw_value(), start))
    with _kept(copy):
        _called(copy, inputs)
        return float(_leaf(copy, path).get_raw_value().item())


def _leaf(model: nnx.Module, path: str) -> Any:
    return dict(leaves(model))[path]


def _settings(model: nnx.Module) -> dict[str, Any]:
    """Return the static values of a model, by path; train and eval mode are set before they are read."""
    homes, nodes = kinds(model), nnx.iter_graph(model)
    return {dotted(path): value for path, value in nodes if homes.get(dotted(path)) == "static"}


def _program(model: nnx.Module, inputs: Inputs) -> Program:
    """Trace a call in training."""
    try:
        return _traced(model, inputs, watched=True)
    except CallError:  # a model that compares the metadata of its Variables cannot be watched
        pass
    try:
        return _traced(model, inputs, watched=False)
    except CallError:
        return Program()  # it works on numbers alone, and has no program that could be read


def _traced(model: nnx.Module, inputs: Inputs, *, watched: bool) -> Program:
    parts: Any = nnx.split(_copied(model, train=True), nnx.Param, ...)
    graphdef, params, rest = parts
    forms: list[dict[str, str]] = []
    lost: set[str] = set()

    def outputs(params: Any, rest: Any) -> Any:
        merged = nnx.merge(graphdef, params, rest)
        find_lost: Callable[[], set[str]] = _watch(merged) if watched else set
        forms.append(_forms(merged))
        with _kept(merged):
            result = [leaf for leaf in jax.tree.leaves(_called(merged, inputs)) if isinstance(leaf, jax.Array)]
            lost.update(find_lost())
            state = nnx.state(merged, nnx.Not(nnx.Param))
            forms.append(_forms(merged))
            if forms[0] != forms[1]:
                _called(merged, inputs)
                forms.append(_forms(merged))
            return result, jax.tree.leaves(state)

    traced = jax.make_jaxpr(outputs)(params, rest).jaxpr
    needed = {variable for variable in traced.outvars if not hasattr(variable, "val")}
    for equation in reversed(traced.eqns):  # an inner jaxpr counts as a whole: what goes into it may be needed
        if needed & set(equation.outvars) or equation.effects:
            needed |= {variable for variable in equation.invars if not hasattr(variable, "val")}
    names = [path for path, leaf in leaves(params) for _ in jax.tree.leaves(leaf)]
    inputs_of_params = traced.invars[: len(names)]
    used = {name for name, variable in zip(names, inputs_of_params, strict=True) if variable in needed}
    return Program(set(names) - used, lost, forms)


def _watch(model: nnx.Module) -> Callable[[], set[str]]:
    """Watch the Variables of a model: what comes back tells which were written in a copy of theirs, and not here.

    A transform of JAX makes such copies, with the metadata of the Variables, and forgets them.
    One of NNX makes them too, and writes back.
    """
    variables = {path: leaf for path, leaf in leaves(model) if isinstance(leaf, nnx.Variable) and not _is_shared(leaf)}
    values = {path: variable.get_raw_value() for path, variable in variables.items()}
    written: set[str] = set()

    def hook(path: str, own: int) -> Callable[[Any, Any], Any]:
        def noticed(variable: Any, value: Any) -> Any:
            if id(variable) != own:
                written.add(path)
            return value

        return noticed

    for path, variable in variables.items():
        known = variable.get_metadata().get("on_set_value", ())
        hooks = known if isinstance(known, tuple) else (known,)
        variable.set_metadata(on_set_value=(*hooks, hook(path, id(variable))))
    return lambda: {path for path in written if variables[path].get_raw_value() is values[path]}


def _is_shared(variable: Any) -> bool:
    """Tell a Variable that is a reference: what is written into a copy of it is written into all."""
    return bool(variable.ref or variable.hijax)


def _forms(model: nnx.Module) -> dict[str, str]:
    """Return the shapes and dtypes of each leaf; not of what `sow` collects, which grows until it is taken."""
    return {
        path: ", ".join(f"{array.dtype}{list(array.shape)}" for array in map(jnp.asarray, jax.tree.leaves(leaf)))
        for path, leaf in leaves(model)
        if not isinstance(leaf, nnx.Intermediate)
    }


def _reused(model: nnx.Module, inputs: Inputs) -> tuple[str, Place | None] | None:
    """Trace two calls in training, with JAX looking for keys that are taken twice."""
    graphdef, state = nnx.split(_copied(model, train=True))

    def twice(state: Any) -> None:
        merged: Any = nnx.merge(graphdef, state)
        with _kept(merged):
            for _ in range(2):
                _called(merged, jax.tree.map(_fresh, inputs))  # a user gives each call a key of its own

    try:
        with jax.debug_key_reuse(True):
            jax.make_jaxpr(twice)(state)
    except jax.errors.KeyReuseError as error:
        return str(error).splitlines()[0], _line_of(error)
    except CallError as error:
        if isinstance(error.__cause__, jax.errors.KeyReuseError):  # a function that is compiled inside of the call
            return str(error.__cause__).splitlines()[0], _line_of(error.__cause__)
    return None


def _fresh(value: Any) -> Any:
    clone: Any = jax.random.clone  # some releases of JAX give it types
    is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return clone(value) if is_key else value


def _line_of(error: BaseException) -> Place | None:
    """Return the last line of a traceback, and of what it was made from, that is none of the frameworks."""
    stack = traceback.extract_tb((error.__cause__ or error).__traceback__)
    mine = [frame for frame in stack if not frame.filename.startswith((*FRAMEWORKS, "<"))]
    return Place(mine[-1].filename, mine[-1].lineno or 0) if mine else None
