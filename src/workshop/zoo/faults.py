"""The fault of each rule, put into a module of somebody else by program.

A fault that is a value takes the place of one that the module has, so that the line is one of its package.
One that needs a call is in a subclass, whose lines are those of this file.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.audit import Row, table
from nnx_state.audit.calling import Inputs, modes
from nnx_state.audit.rules.base import is_float
from nnx_state.audit.rules.labels import WEIGHTS
from workshop.zoo import commented
from workshop.zoo.watched import Line


@dataclass(frozen=True)
class Planted:
    """A fault that was put into a model.

    Attributes:
        path: where the rule has to find it.
        line: the file and the line that it has to name; None where no line of a class makes it.
        below: the path of all that the fault itself changes.
    """

    path: str
    line: Line | None
    below: str


Lines = Callable[[str], Line | None]  # where the value of a path was assigned
Plant = Callable[[Any, Lines], Planted | None]  # puts the fault into a model; nothing where it does not fit
FAULTS: dict[str, Plant] = {}


def fault(rule: str) -> Callable[[Plant], Plant]:
    """Register what puts the fault of a rule into a model."""

    def register(plant: Plant) -> Plant:
        FAULTS[rule] = plant
        return plant

    return register


def _params(model: nnx.Module) -> Iterator[Row]:
    """Yield the Params that are attributes themselves, and that one class made in one place of the model."""
    for row in table(model):
        if row.home == "Param" and row.is_attribute and is_float(row) and not row.also:
            yield row


def _parent(model: Any, row: Row) -> Any:
    nodes = {".".join(map(str, path)): node for path, node in nnx.iter_graph(model)}
    return nodes[row.parent]


def _replace(model: Any, lines: Lines, row: Row, value: Any, below: str = "") -> Planted:
    """Put a value in the place of a Param."""
    line, parent = lines(row.path), _parent(model, row)
    delattr(parent, row.name)
    setattr(parent, row.name, value)
    return Planted(row.path + below, line, row.path)


def _first(model: Any, names: set[str] | None = None) -> Row | None:
    return next((row for row in _params(model) if names is None or row.name in names), None)


@fault("integer-param")
def _integer_param(model: Any, lines: Lines) -> Planted | None:
    row = _first(model)
    return _replace(model, lines, row, nnx.Param(row.arrays[0].astype("int32"))) if row else None


@fault("plain-weight")
def _plain_weight(model: Any, lines: Lines) -> Planted | None:
    row = _first(model, WEIGHTS)
    return _replace(model, lines, row, row.arrays[0]) if row else None


@fault("variable-weight")
def _variable_weight(model: Any, lines: Lines) -> Planted | None:
    row = _first(model, WEIGHTS)
    return _replace(model, lines, row, nnx.Variable(row.arrays[0])) if row else None


@fault("other-role")
def _other_role(model: Any, lines: Lines) -> Planted | None:
    row = _first(model)
    return _replace(model, lines, row, nnx.BatchStat(jnp.array(0))) if row else None


@fault("not-finite")
def _not_finite(model: Any, lines: Lines) -> Planted | None:
    row = _first(model)
    return _replace(model, lines, row, nnx.Param(jnp.full_like(row.arrays[0], jnp.nan))) if row else None


@fault("hidden-state")
def _hidden_state(model: Any, lines: Lines) -> Planted | None:
    row = _first(model)
    if row is None:
        return None
    param = row.held
    return _replace(model, lines, row, lambda: param, ".param")


@fault("leaked-tracer")
def _leaked_tracer(model: Any, lines: Lines) -> Planted | None:
    row = _first(model)
    if row is None:
        return None
    parent = _parent(model, row)

    def leak(value: jax.Array) -> jax.Array:
        vars(parent)[row.name] = nnx.Param(value)  # what NNX refuses to do to a module from under a transform
        return value

    jax.make_jaxpr(leak)(row.arrays[0])
    return Planted(row.path, lines(row.path), row.path)


def _pair(model: Any, *, drawn: bool) -> tuple[Row, Row] | None:
    """Return two Params of one shape, with random numbers if that is asked, in layers that are no copies."""
    rows = [row for row in _params(model) if not drawn or _is_drawn(row.arrays[0])]
    for number, row in enumerate(rows):
        for other in rows[:number]:
            is_alike = (row.arrays[0].shape, row.arrays[0].dtype) == (other.arrays[0].shape, other.arrays[0].dtype)
            if is_alike and (drawn or row.owner is not other.owner or row.name != other.name):
                return other, row
    return None


def _is_drawn(array: jax.Array) -> bool:
    return array.size > 1 and bool(array.min() != array.max())


@fault("same-array")
def _same_array(model: Any, lines: Lines) -> Planted | None:
    if pair := _pair(model, drawn=False):
        other, row = pair
        return _replace(model, lines, row, nnx.Param(other.arrays[0]))
    return None


@fault("same-draw")
def _same_draw(model: Any, lines: Lines) -> Planted | None:
    if pair := _pair(model, drawn=True):
        other, row = pair
        return _replace(model, lines, row, nnx.Param(jnp.copy(other.arrays[0])))
    return None


@fault("tied-param")
def _tied_param(model: Any, lines: Lines) -> Planted | None:
    if pair := _pair(model, drawn=False):
        other, row = pair
        _replace(model, lines, row, other.held)
        return Planted(other.path, lines(other.path), row.path)
    return None


@fault("same-stream")
def _same_stream(model: Any, lines: Lines) -> Planted | None:
    """Give a second stream the key and the count of the first of its name."""
    rows = {row.path: row for row in table(model)}
    first: dict[Any, Row] = {}
    for path, row in rows.items():
        count = rows.get(f"{path.rpartition('.')[0]}.count")
        if isinstance(row.held, nnx.RngKey) and count:
            other = first.setdefault((row.metadata.get("tag"), row.arrays[0].shape), row)
            if other is not row:
                row.held.set_value(other.arrays[0])
                count.held.set_value(rows[f"{other.path.rpartition('.')[0]}.count"].arrays[0])
                return Planted(path, lines(path), path.rpartition(".")[0])
    return None


@fault("dropout-alone")
def _dropout_alone(model: Any, lines: Lines) -> Planted | None:
    for path, node in nnx.iter_graph(model):
        if isinstance(node, nnx.Dropout) and node.rngs is not None:
            where = ".".join(map(str, (*path, "rngs")))
            node.rngs = None
            return Planted(where, lines(where), where)
    return None


def _become(model: Any, planted: type, name: str, sign: str = "") -> Planted | None:
    """Make a model one of a subclass, and let that plant an attribute; a model that is no pytree would become one.

    The line is the one that assigns the attribute, or the one with a sign.
    """
    if jax.tree_util.all_leaves([model]):
        return None
    model.__class__ = planted
    lines, first = inspect.getsourcelines(planted)
    line = next(number for number, text in enumerate(lines, start=first) if (sign or f"self.{name} = ") in text)
    model.plant()
    return Planted(name, (inspect.getsourcefile(planted) or "", line), name)


@fault("half-average")
def _half_average(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Coarse(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_mean = nnx.BatchStat(jnp.zeros(2, jnp.bfloat16))

    return _become(model, Coarse, "planted_mean")


@fault("written-param")
def _written_param(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Written(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_steps = nnx.Param(jnp.array(0.0))

        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            self.planted_steps[...] += 1
            return super().__call__(*arguments, **options)

    return _become(model, Written, "planted_steps")


@fault("eval-writes")
def _eval_writes(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)
    if modes(model, Inputs("__call__")):
        return None  # `model.eval()` alone does not say that it evaluates

    class Averaged(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_mean = nnx.BatchStat(jnp.array(0.0))

        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            self.planted_mean[...] = 0.9 * self.planted_mean[...] + 0.1
            return super().__call__(*arguments, **options)

    return _become(model, Averaged, "planted_mean")


@fault("mode-unheard")
def _mode_unheard(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Drawing(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_drop = nnx.Dropout(0.5, rngs=nnx.Rngs(4711))  # the seed of no other stream

        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            self.planted_drop(jnp.ones(3), deterministic=False)
            return super().__call__(*arguments, **options)

    planted = _become(model, Drawing, "planted_drop")
    return planted and Planted("planted_drop.rngs.count", planted.line, planted.below)


@fault("unused-param")
def _unused_param(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Forgetful(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_weight = nnx.Param(jnp.ones(3))

    return _become(model, Forgetful, "planted_weight")


@fault("static-written")
def _static_written(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Counting(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_calls = 0

        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            self.planted_calls += 1
            return super().__call__(*arguments, **options)

    return _become(model, Counting, "planted_calls")


@fault("array-written")
def _array_written(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Keeping(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_seen = jnp.array(0)

        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            self.planted_seen += 1
            return super().__call__(*arguments, **options)

    return _become(model, Keeping, "planted_seen")


@fault("lost-write")
def _lost_write(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Losing(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_count = nnx.Variable(jnp.array(0))

        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            jax.checkpoint(_count)(self.planted_count)
            return super().__call__(*arguments, **options)

    return _become(model, Losing, "planted_count")


def _count(variable: Any) -> None:
    variable[...] += 1


@fault("compiles-again")
def _compiles_again(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Growing(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_cache = nnx.Cache(jnp.zeros(1))

        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            self.planted_cache.set_value(jnp.append(self.planted_cache[...], 0.0))
            return super().__call__(*arguments, **options)

    return _become(model, Growing, "planted_cache")


@fault("float-counter")
def _float_counter(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Rounding(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_steps = nnx.Variable(jnp.array(0.0))

        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            self.planted_steps[...] += 1
            return super().__call__(*arguments, **options)

    return _become(model, Rounding, "planted_steps")


@fault("key-reuse")
def _key_reuse(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Repeating(base):  # type: ignore[misc]
        def plant(self) -> None:
            """Plant nothing: the fault is in the call."""

        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            key = jax.random.key(0)
            jax.random.normal(key)
            jax.random.normal(key)  # the same number
            return super().__call__(*arguments, **options)

    planted = _become(model, Repeating, "planted_key", sign="# the same number")
    return planted and Planted("", planted.line, planted.below)


@fault("unused-ignore")
def _unused_ignore(model: Any, _: Lines) -> Planted | None:
    planted = _become(model, commented.commented(type(model)), "planted_size")
    return planted and Planted("", planted.line, planted.below)
