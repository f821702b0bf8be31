"""A counter tagged Param: what gradients and optimizers make of it."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import (
    Layer,
    add,
    copies,
    grad,
    loss,
    moved,
    names,
    numbers,
    optimizer,
    read,
    step,
    update,
    write,
)
from nnx_state.claims.registry import NotApplicable, claim, expect, raises, works

TAGGED = "lessons/multi-param.md#a-counter-tagged-param"
WRONG = "lessons/training.md#the-wrong-label"
RAISE = "lessons/training.md#calls-that-raise"
REAL = "grad requires real- or complex-valued inputs"


def tagged(value: Any = 5.0) -> Layer:
    """Return a layer whose count is a Param."""
    return Layer(nnx.Param(jnp.array(value)))


def untagged(value: Any = 5.0) -> Layer:
    """Return a layer whose count is a Variable and no Param."""
    return Layer(nnx.Variable(jnp.array(value)))


def count(model: Any) -> float:
    """Return the count, rounded."""
    return round(float(read(model.count)), 4)


def counting(model: Any) -> Any:
    """Count one, and return the loss."""
    add(model.count, 1.0)
    return loss(model)


@claim(
    "sgd-and-adam-leave-a-tagged-counter",
    "A counter of the type Param, and that no loss uses, stays what it is under plain SGD and under Adam.",
    TAGGED,
)
def sgd_and_adam_leave_a_tagged_counter() -> None:
    for tx in (optax.sgd(0.1), optax.adam(0.1)):
        model = tagged()
        before = copies(model)
        expect((moved(before, step(model, tx)), count(model)), (["bias", "kernel"], 5.0))


@claim(
    "tagged-counter-has-gradient-zero",
    "A counter of the type Param, and that no loss uses, has a gradient, and this is zero.",
    TAGGED,
)
def tagged_counter_has_gradient_zero() -> None:
    expect(numbers(grad(loss, tagged())).get("count", "none"), 0.0)


@claim(
    "weight-decay-shrinks-a-tagged-counter",
    "Weight decay shrinks a counter of the type Param, although no loss uses it.",
    TAGGED,
)
def weight_decay_shrinks_a_tagged_counter() -> None:
    expect(count(step(tagged(), optax.adamw(0.1, weight_decay=0.1))), 4.95)


@claim(
    "the-loss-moves-a-tagged-counter",
    "SGD moves a counter of the type Param, and that the loss uses, by the rate times its gradient.",
    WRONG,
)
def the_loss_moves_a_tagged_counter() -> None:
    model = tagged()
    trained = optimizer(model, optax.sgd(0.1))
    update(trained, model, grad(lambda model: loss(model) + read(model.count) ** 2, model))
    expect(count(model), 4.0)


@claim(
    "counting-in-the-loss-outlives-grad",
    "A counter of the type Param, and that the loss counts up, has counted after `nnx.grad`.",
    "lessons/training.md#predict",
)
def counting_in_the_loss_outlives_grad() -> None:
    model = tagged()
    grad(counting, model)
    expect(count(model), 6.0)


@claim("integer-param-has-no-gradient", "An integer of the type Param makes `nnx.grad` raise a TypeError.", RAISE)
def integer_param_has_no_gradient() -> None:
    raises(lambda: grad(loss, tagged(5)), TypeError, REAL)


@claim("integer-variable-under-grad", "An integer that is a Variable does not disturb `nnx.grad`.", RAISE)
def integer_variable_under_grad() -> None:
    expect(names(works(lambda: grad(loss, untagged(5)))), ["bias", "kernel"])


@claim(
    "integer-variable-under-jax-grad",
    "`jax.grad` of a module raises a TypeError where one of its Variables is an integer.",
    RAISE,
)
def integer_variable_under_jax_grad() -> None:
    if jax.tree_util.all_leaves([Layer()]):
        raise NotApplicable("`jax.grad` takes no module")
    expect(numbers(jax.grad(loss)(untagged(5.0)))["count"], 0.0)
    raises(lambda: jax.grad(loss)(untagged(5)), TypeError, REAL)


@claim(
    "writing-does-not-change-the-label",
    "Writing a number into a Param leaves it a Param, which has a gradient as before.",
    "lessons/reading-writing.md",
)
def writing_does_not_change_the_label() -> None:
    model = tagged()
    write(model.count, jnp.array(7.0))
    expect((type(model.count).__name__, count(model)), ("Param", 7.0))
    expect(names(grad(loss, model)), ["bias", "count", "kernel"])


@claim(
    "a-tagged-counter-counts-through-training",
    "A counter of the type Param, and that only counts in the loss, is right after three steps of SGD.",
    "lessons/training.md#predict",
)
def a_tagged_counter_counts_through_training() -> None:
    model = tagged()
    trained, before = optimizer(model, optax.sgd(0.1)), copies(model)
    for _ in range(3):
        update(trained, model, grad(counting, model))
    expect((moved(before, model), count(model)), (["bias", "count", "kernel"], 8.0))
