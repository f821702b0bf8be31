"""The rules: what each looks for in a model, what that does to it, and what to write."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state._bits import inside
from nnx_state.audit.running import Call
from nnx_state.audit.table import Row

ERROR, WARNING, NOTE = "error", "warning", "note"
WEIGHTS = {"kernel", "bias", "weight", "weights", "scale", "embedding", "w", "b"}
UNUSED_IGNORE = "unused-ignore"
MAKE_A_KERNEL = {nnx.WeightNorm, nnx.SpectralNorm}  # of other Params, in each call
DRAW_A_CARRY = {nnx.RNN, nnx.Bidirectional}  # which is zeros, unless someone says otherwise


@dataclass(frozen=True)
class Model:
    """What rules look at.

    Attributes:
        rows: the table of its values.
        call: what calls of copies did; nothing where no inputs were given.
    """

    rows: list[Row]
    call: Call

    def variables(self, kind: type) -> Iterator[Row]:
        """Yield the rows of the Variables of a type and its subtypes which the state holds."""
        for row in self.rows:
            if row.home not in ("hidden", "static") and isinstance(row.held, kind):
                yield row


@dataclass(frozen=True)
class Found:
    """What a rule has found.

    Attributes:
        row: the value.
        what: what it is, and what that does to this model, in one sentence or two.
        write: what to write in its place.
    """

    row: Row
    what: str
    write: str


@dataclass(frozen=True)
class Rule:
    """What is looked for.

    Attributes:
        name: its id, which never changes, and the name of its page.
        severity: `"error"`, `"warning"`, or `"note"` for what cannot be sure: off by default, and never a failure.
        about: what it finds, in a few words.
        finds: the search itself.
        runs: whether it needs a forward pass.
    """

    name: str
    severity: str
    about: str
    finds: Callable[[Model], Iterator[Found]]
    runs: bool = False


RULES: dict[str, Rule] = {}


def _rule(name: str, severity: str, about: str, *, runs: bool = False) -> Callable[[Any], Any]:
    def register(finds: Callable[[Model], Iterator[Found]]) -> Callable[[Model], Iterator[Found]]:
        RULES[name] = Rule(name, severity, about, finds, runs)
        return finds

    return register


@_rule("integer-param", ERROR, "a Param that is no float")
def _integer_param(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Param):
        for array in row.arrays[:1]:
            if not jnp.issubdtype(array.dtype, jnp.inexact):
                yield Found(
                    row,
                    f"a Param of {_kind(array)}: `nnx.grad` and `nnx.value_and_grad` of this model raise a TypeError.",
                    "`nnx.Variable(…)`, or a type of your own, for what counts, indexes or draws.",
                )


@_rule("plain-weight", WARNING, "a weight that is a plain array")
def _plain_weight(model: Model) -> Iterator[Found]:
    params = sum(_size(row) for row in model.variables(nnx.Param))
    for row in model.rows:
        if row.home == "array" and row.is_attribute and row.name in WEIGHTS and _is_float(row):
            size = _size(row)
            yield Found(
                row,
                f"a weight without a Variable: `nnx.grad` gives its {size} numbers no gradient, beside the {params} of "
                "the Params, and no optimizer changes them.",
                "`nnx.Param(…)` around it; `nnx.Variable(…)` if it must not be trained.",
            )


@_rule("variable-weight", WARNING, "a weight that is a plain Variable")
def _variable_weight(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Variable):
        if type(row.held) is nnx.Variable and row.name in WEIGHTS and _is_float(row):
            yield Found(
                row,
                f"a weight that is a Variable and no Param: its {_size(row)} numbers get no gradient by default, and "
                "an optimizer with `wrt=nnx.Param` leaves them as they are.",
                "`nnx.Param(…)`; a type of your own, such as `class Frozen(nnx.Variable)`, if it must not be trained.",
            )


@_rule("hidden-state", ERROR, "a Variable, or an array, that the state does not hold")
def _hidden_state(model: Model) -> Iterator[Found]:
    for row in model.rows:
        if row.home == "hidden" and not _tracers(row):
            kind = type(row.held).__name__ if isinstance(row.held, nnx.Variable) else "array"
            yield Found(
                row,
                f"{_article(kind)} {kind} of {row.nbytes} bytes that the state does not hold: gradients, optimizers, "
                "filters and checkpoints miss it.",
                "`nnx.List` or `nnx.Dict` in place of a list or a dict; in place of a function that holds an array, a "
                "module with an attribute for it.",
            )


@_rule("leaked-tracer", ERROR, "a tracer that a traced function left in the model")
def _leaked_tracer(model: Model) -> Iterator[Found]:
    for row in model.rows:
        if row.home != "static" and _tracers(row):
            yield Found(
                row,
                "a tracer: a function under a transform of JAX wrote it into the model, and each use of it raises an "
                "UnexpectedTracerError.",
                "`nnx.jit` or `nnx.grad`, which write back; or return the value from the function.",
            )


@_rule("same-array", WARNING, "one array in two Params")
def _same_array(model: Model) -> Iterator[Found]:
    params = list(model.variables(nnx.Param))
    first: dict[int, Row] = {}
    for row in params:
        for array in row.arrays:
            other = first.setdefault(id(array), row) if _has_numbers(array) else row
            if other is not row and not _is_copied_layer(params, row, other):
                yield Found(
                    row,
                    f"a Param that holds the very array of `{other.path}`: they begin equal, one step of an optimizer "
                    "takes them apart, and a function that donates the model refuses both.",
                    "the same Variable in both places if they are tied; `jnp.copy(…)` if they are not.",
                )


def _is_copied_layer(params: list[Row], row: Row, other: Row) -> bool:
    """Tell whether two layers of one class share all arrays, as a target network begins: its owner knows that."""
    mine, others = ([one for one in params if _parent(one) == _parent(of)] for of in (row, other))
    arrays = [{one.name: [id(array) for array in one.arrays] for one in each} for each in (mine, others)]
    return row.owner is other.owner and _parent(row) != _parent(other) and arrays[0] == arrays[1]


def _parent(row: Row) -> str:
    return row.path.rpartition(".")[0]


@_rule("same-draw", NOTE, "two Params with the same random numbers")
def _same_draw(model: Model) -> Iterator[Found]:
    first: dict[Any, Row] = {}
    for row in model.variables(nnx.Param):
        for array in row.arrays[:1]:
            if not (_has_numbers(array) and _is_float(row) and array.size > 1):
                continue
            numbers = jax.device_get(array)
            if numbers.min() == numbers.max():  # zeros, ones: they were not drawn
                continue
            other = first.setdefault((numbers.shape, str(numbers.dtype), numbers.tobytes()), row)
            if other is not row and array is not other.arrays[0]:
                yield Found(
                    row,
                    f"its {array.size} numbers are those of `{other.path}`: both were drawn from one key, so that two "
                    "units that look alike learn alike.",
                    "one `rngs` for the whole model, which gives each layer a key of its own.",
                )


@_rule("same-stream", WARNING, "two random streams that give the same numbers")
def _same_stream(model: Model) -> Iterator[Found]:
    counts = {row.path.rpartition(".")[0]: row for row in model.variables(nnx.RngCount)}
    first: dict[Any, Row] = {}
    for row in model.variables(nnx.RngKey):
        count = counts.get(row.path.rpartition(".")[0])
        if (
            count is None
            or DRAW_A_CARRY & {*row.around[1:3]}
            or not all(map(_has_numbers, [*row.arrays, *count.arrays]))
        ):
            continue
        tag = row.metadata.get("tag")
        drawn = [jax.device_get(inside(array)).tobytes() for array in (*row.arrays, *count.arrays)]
        other = first.setdefault((tag, *drawn), row)
        if other is not row:
            yield Found(
                row,
                f"the stream `{tag}` has the key and the count of `{other.path}`: what both draw is the same, such as "
                "the masks of two Dropout layers.",
                "one `rngs` for the whole model, or `rngs.fork()` for each part.",
            )


@_rule("dropout-alone", NOTE, "a Dropout without a stream of its own")
def _dropout_alone(model: Model) -> Iterator[Found]:
    for row in model.rows:
        if row.name == "rngs" and row.home == "static" and row.held is None and issubclass(row.owner, nnx.Dropout):
            yield Found(
                row,
                "a Dropout without `rngs`: a call in training raises, unless it is given `rngs`.",
                "`nnx.Dropout(rate, rngs=rngs)`.",
            )


@_rule("written-param", ERROR, "a Param that a forward pass writes", runs=True)
def _written_param(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Param):
        if row.path in model.call.written and not MAKE_A_KERNEL & {*row.around}:
            yield Found(
                row,
                f"a Param that one call in training changes {model.call.written[row.path]}: it moves twice in each "
                "step, by the call and by the optimizer, and weight decay draws it to zero.",
                "`nnx.Variable(…)` for a counter, `nnx.BatchStat(…)` for a running average.",
            )


@_rule("eval-writes", WARNING, "a running average that a forward pass writes in evaluation", runs=True)
def _eval_writes(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.BatchStat):  # what else is written, as a cache or a count is, may be meant
        if row.path in model.call.written_in_eval:
            yield Found(
                row,
                f"an average that a call after `model.eval()` changes {model.call.written_in_eval[row.path]}: what is "
                "evaluated changes the next evaluation.",
                "an attribute such as `use_running_average` or `deterministic`, which `model.eval()` sets, and `if`.",
            )


@_rule("unused-param", NOTE, "a Param on which no output depends", runs=True)
def _unused_param(model: Model) -> Iterator[Found]:
    for row in model.variables(nnx.Param):
        if row.path in model.call.unused and _is_float(row) and row.path not in model.call.written:
            yield Found(
                row,
                f"a Param on which no output of this call depends: its gradient is zero, and its {row.nbytes} bytes "
                "and those of its moments are kept for nothing, unless another method uses it.",
                "the layer into the call, or no layer; a type of its own, if it is used and not trained.",
            )


@_rule("static-written", WARNING, "a static value that a forward pass changes", runs=True)
def _static_written(model: Model) -> Iterator[Found]:
    for row in model.rows:
        if row.home == "static" and row.path in model.call.settings:
            before, after = model.call.settings[row.path]
            yield Found(
                row,
                f"a static value that a call changes from {before!r} to {after!r}: it is part of the program, so that "
                "`nnx.jit` compiles again for each value, and no checkpoint holds it.",
                "`nnx.Variable(jnp.array(…))` for a number; set what is no number outside of the call.",
            )


@_rule(UNUSED_IGNORE, WARNING, "a comment that leaves nothing out")
def _unused_ignore(_: Model) -> Iterator[Found]:
    return iter(())  # the report finds them, when it knows what all other rules have found


def _kind(array: Any) -> str:
    return "a random key" if jnp.issubdtype(array.dtype, jax.dtypes.prng_key) else str(array.dtype)


def _article(noun: str) -> str:
    return "an" if noun[0].lower() in "aeiou" else "a"


def _size(row: Row) -> int:
    return sum(array.size for array in row.arrays)


def _is_float(row: Row) -> bool:
    return bool(row.arrays) and all(jnp.issubdtype(array.dtype, jnp.inexact) for array in row.arrays)


def _tracers(row: Row) -> bool:
    return any(isinstance(array, jax.core.Tracer) for array in row.arrays)


def _has_numbers(array: Any) -> bool:
    """Tell an array with numbers that this process can read from one that is abstract, traced or elsewhere."""
    is_array = isinstance(array, jax.Array) and not isinstance(array, jax.core.Tracer)
    return is_array and array.is_fully_addressable and not array.is_deleted()
