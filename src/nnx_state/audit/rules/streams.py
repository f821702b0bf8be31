"""Rules of random streams."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
from flax import nnx

from nnx_state._bits import inside
from nnx_state.audit.rules.base import ERROR, NOTE, WARNING, Found, Model, has_numbers, rule
from nnx_state.audit.table import Row

DRAW_A_CARRY = {nnx.RNN, nnx.Bidirectional}  # which is zeros, unless someone says otherwise


@rule("same-stream", WARNING, "two random streams that give the same numbers")
def _same_stream(model: Model) -> Iterator[Found]:
    counts = {row.parent: row for row in model.variables(nnx.RngCount)}
    silent = {row.parent for row in model.rows if row.name == "deterministic" and row.held is True}
    first: dict[Any, Row] = {}
    for row in model.variables(nnx.RngKey):
        count = counts.get(row.parent)
        if (
            count is None
            or DRAW_A_CARRY & {*row.around[1:2]}
            or not all(map(has_numbers, [*row.arrays, *count.arrays]))
        ):
            continue
        tag = row.metadata.get("tag")
        drawn = [jax.device_get(inside(array)).tobytes() for array in (*row.arrays, *count.arrays)]
        other = first.setdefault((tag, *drawn), row)
        is_copy = (_layer(row) in silent) != (_layer(other) in silent)  # such as a teacher, in eval mode
        if other is not row and not is_copy:
            yield Found(
                row,
                f"the stream `{tag}` has the key and the count of `{other.path}`: what both draw is the same, such as "
                "the masks of two Dropout layers.",
                "one `rngs` for the whole model, or `rngs.fork()` for each part.",
            )


def _layer(row: Row) -> str:
    """Return the path of the layer that has a stream, such as `drop` of `drop.rngs.key`."""
    return row.parent.removesuffix(".rngs")


@rule("dropout-alone", NOTE, "a Dropout without a stream of its own")
def _dropout_alone(model: Model) -> Iterator[Found]:
    paths = [row.path for row in model.rows]
    for row in model.rows:
        stream = f"{row.path.removesuffix('rate')}rngs"
        is_rate = row.name == "rate" and issubclass(row.owner, nnx.Dropout)
        if is_rate and not any(path.startswith(f"{stream}.") for path in paths):
            yield Found(
                dataclasses.replace(row, path=stream),  # it has no row where it is `None`: NNX names one of a model
                "a Dropout without `rngs`: a call in training raises, unless it is given `rngs`.",
                "`nnx.Dropout(rate, rngs=rngs)`.",
            )


@rule("key-reuse", ERROR, "one key for two draws", needs="inputs")
def _key_reuse(model: Model) -> Iterator[Found]:
    if model.call.reused:
        said, line = model.call.reused
        yield Found(
            None,
            f"a key that an earlier draw took already, in this call or in the one before (JAX: {said.rstrip('.')}): it "
            "draws the same numbers again.",
            "`rngs()` or `rngs.normal(…)`, which take a new key each time; or `jax.random.split` for each draw.",
            line,
        )
