"""Faults that are values: each takes the place of one that the module has, so that the line is one of its package."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.audit import Row, table
from nnx_state.audit.rules.labels import WEIGHTS
from workshop.zoo.faults.base import Lines, Planted, fault, first, params, parent_of, replace


@fault("integer-param")
def _integer_param(model: Any, lines: Lines) -> Planted | None:
    row = first(model)
    return replace(model, lines, row, nnx.Param(row.arrays[0].astype("int32"))) if row else None


@fault("plain-weight")
def _plain_weight(model: Any, lines: Lines) -> Planted | None:
    row = first(model, WEIGHTS)
    return replace(model, lines, row, row.arrays[0]) if row else None


@fault("variable-weight")
def _variable_weight(model: Any, lines: Lines) -> Planted | None:
    row = first(model, WEIGHTS)
    return replace(model, lines, row, nnx.Variable(row.arrays[0])) if row else None


@fault("other-role")
def _other_role(model: Any, lines: Lines) -> Planted | None:
    row = first(model)
    return replace(model, lines, row, nnx.BatchStat(jnp.array(0))) if row else None


@fault("not-finite")
def _not_finite(model: Any, lines: Lines) -> Planted | None:
    row = first(model)
    return replace(model, lines, row, nnx.Param(jnp.full_like(row.arrays[0], jnp.nan))) if row else None


@fault("hidden-state")
def _hidden_state(model: Any, lines: Lines) -> Planted | None:
    row = first(model)
    if row is None:
        return None
    param = row.held
    return replace(model, lines, row, lambda: param, ".param")


@fault("leaked-tracer")
def _leaked_tracer(model: Any, lines: Lines) -> Planted | None:
    row = first(model)
    if row is None:
        return None
    parent = parent_of(model, row)

    def leak(value: jax.Array) -> jax.Array:
        vars(parent)[row.name] = nnx.Param(value)  # what NNX refuses to do to a module from under a transform
        return value

    jax.make_jaxpr(leak)(row.arrays[0])
    return Planted(row.path, lines(row.path), row.path)


def _pair(model: Any, *, drawn: bool) -> tuple[Row, Row] | None:
    """Return two Params of one shape, with random numbers if that is asked, in layers that are no copies."""
    rows = [row for row in params(model) if not drawn or _is_drawn(row.arrays[0])]
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
        return replace(model, lines, row, nnx.Param(other.arrays[0]))
    return None


@fault("same-draw")
def _same_draw(model: Any, lines: Lines) -> Planted | None:
    if pair := _pair(model, drawn=True):
        other, row = pair
        return replace(model, lines, row, nnx.Param(jnp.copy(other.arrays[0])))
    return None


@fault("tied-param")
def _tied_param(model: Any, lines: Lines) -> Planted | None:
    if pair := _pair(model, drawn=False):
        other, row = pair
        replace(model, lines, row, other.held)
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
