"""Replacing a Variable: what an assignment to the attribute does, other than a write into the Variable."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import NO_ARRAYS, Layer, add, copies, grad, loss, moved, names, read, step
from nnx_state.claims.registry import claim, differs, expect, raises

REPLACED = "lessons/reading-writing.md#the-variable-is-replaced"
SEE = "lessons/reading-writing.md#see"
ISSUE = "an issue of Flax"


def replaced() -> Any:
    """Return a layer whose count was a Variable."""
    model: Any = Layer()
    model.count = model.count + 1.0
    return model


@claim(
    "in-place-operator-raises",
    "`model.count += 1` raises a NotImplementedError.",
    REPLACED,
    ISSUE,
    instead="has no attribute '__iadd__'",
)
def in_place_operator_raises() -> None:
    model = Layer()
    try:
        model.count += 1.0
    except NotImplementedError as error:
        expect("In-place operations are no longer supported for Variable" in str(error), True)
        return
    kind = "the Variable holds" if isinstance(model.count, nnx.Variable) else "the Variable is replaced by"
    differs(f"nothing is raised, and {kind} {float(read(model.count)):.1f}")


@claim(
    "a-sum-replaces-the-variable",
    "`model.count = model.count + 1` puts an array in the place of the Variable.",
    REPLACED,
)
def a_sum_replaces_the_variable() -> None:
    model = replaced()
    expect((isinstance(model.count, nnx.Variable), isinstance(model.count, jax.Array)), (False, True))


@claim(
    "a-replaced-variable-has-no-type",
    "A count that `model.count + 1` has replaced is no longer in `nnx.state(model, nnx.Variable)`.",
    REPLACED,
    instead=NO_ARRAYS,
)
def a_replaced_variable_has_no_type() -> None:
    model = replaced()
    expect(names(nnx.state(model, nnx.Variable)), ["bias", "kernel"])


@claim(
    "a-replaced-variable-is-a-leaf",
    "A count that `model.count + 1` has replaced is still a leaf of `nnx.state(model)`.",
    REPLACED,
    instead=NO_ARRAYS,
)
def a_replaced_variable_is_a_leaf() -> None:
    model = replaced()
    expect(names(model), ["bias", "count", "kernel"])


@claim(
    "a-replaced-variable-needs-a-filter",
    "Once a count is replaced by an array, `nnx.split(model, nnx.Param, nnx.Variable)` raises a ValueError.",
    REPLACED,
    instead=NO_ARRAYS,
)
def a_replaced_variable_needs_a_filter() -> None:
    model = replaced()
    raises(lambda: nnx.split(model, nnx.Param, nnx.Variable), ValueError, "Non-exhaustive filters")


@claim(
    "a-replaced-param-is-not-trained",
    "After `model.bias = model.bias - 0.1`, `nnx.grad` gives no gradient of the bias.",
    REPLACED,
    instead=NO_ARRAYS,
)
def a_replaced_param_is_not_trained() -> None:
    model: Any = Layer()
    model.bias = model.bias - 0.1
    expect(names(grad(loss, model)), ["kernel"])


@claim("a-write-reaches-every-holder", "Whoever holds the Variable sees a value that is written to it.", SEE)
def a_write_reaches_every_holder() -> None:
    model = Layer()
    holder = model.count
    add(model.count, 1.0)
    expect(float(read(holder)), 1.0)


@claim(
    "a-replaced-param-keeps-its-numbers",
    "A Param that an array has replaced is left alone by the optimizer.",
    REPLACED,
    instead=NO_ARRAYS,
)
def a_replaced_param_keeps_its_numbers() -> None:
    model: Any = Layer()
    model.bias = model.bias - 0.1
    before = copies(model)
    step(model, optax.sgd(0.1))
    expect(moved(before, model), ["kernel"])
    expect([round(float(number), 2) for number in read(model.bias)], [-0.1, -0.1])


@claim(
    "the-old-variable-is-not-written",
    "Whoever holds the Variable does not see the array that has taken its place.",
    SEE,
)
def the_old_variable_is_not_written() -> None:
    model: Any = Layer()
    holder = model.count
    model.count = model.count + 1.0
    expect((float(read(model.count)), float(read(holder))), (1.0, 0.0))


@claim(
    "an-array-replaces-the-variable", "`model.count = jnp.array(3.0)` puts the array in the place of the Variable.", SEE
)
def an_array_replaces_the_variable() -> None:
    model: Any = Layer()
    model.count = jnp.array(3.0)
    expect((isinstance(model.count, nnx.Variable), float(read(model.count))), (False, 3.0))


@claim("a-variable-replaces-another", "`model.count = nnx.Param(x)` gives the count another type: it is a Param.", SEE)
def a_variable_replaces_another() -> None:
    model: Any = Layer()
    model.count = nnx.Param(jnp.array(3.0))
    expect(names(model), ["bias", "count", "kernel"])
    expect(names(nnx.state(model, nnx.Not(nnx.Param))), [])
