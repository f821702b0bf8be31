"""Optax with NNX: masks, labels, the learning rate, accumulation, and what a kept optimizer does to a new layer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import (
    Layer,
    copies,
    grad,
    leaves,
    loss,
    moved,
    optimizer,
    read,
    update,
    write,
)
from nnx_state.claims.registry import claim, expect, raises, works

SEE = "lessons/training.md#see"
FREEZE = "lessons/freezing.md#see"
DECAY = "lessons/multi-param.md#a-counter-tagged-param"
NEW = "lessons/freezing.md#thawing-starts-adam-anew"
TYPES = "lessons/own-types.md#see"
ISSUE, OPTAX = "an issue of Flax", "an issue of Optax"
# Newer releases of JAX say the first, older ones the second.
WRAPPED = ("pytree structure error: different types at key path", "Custom node type mismatch")


class Headed(nnx.Module):
    """A model with a head of two outputs."""

    def __init__(self) -> None:
        self.head = nnx.Linear(2, 2, rngs=nnx.Rngs(0))


def params() -> Any:
    """Return the Params of a Layer."""
    return nnx.state(Layer(), nnx.Param)


def is_matrix(leaf: Any) -> bool:
    """Tell whether a leaf is a matrix."""
    return bool(leaf.ndim > 1)


def label(leaf: Any) -> str:
    """Return the group of a leaf."""
    return "matrix" if leaf.ndim > 1 else "vector"


def decaying(mask: Any) -> Any:
    """Return AdamW whose weight decay has a mask."""
    return optax.adamw(0.1, weight_decay=0.5, mask=mask)


def by_label(labels: Any) -> Any:
    """Return a transformation that moves the matrices alone."""
    partition = getattr(optax, "partition", None) or optax.multi_transform
    return partition({"matrix": optax.sgd(0.1), "vector": optax.set_to_zero()}, labels)


def decayed(transformation: Any) -> list[str]:
    """Return the names of what a step with a gradient of zero moves."""
    model = Layer(bias=lambda _: nnx.Param(jnp.ones(2)))
    trained, before = optimizer(model, transformation), copies(model)
    update(trained, model, grad(lambda model: loss(model) * 0.0, model))
    return moved(before, model)


def stepped(transformation: Any) -> list[str]:
    """Return the names of what a step on the loss moves."""
    model = Layer()
    trained, before = optimizer(model, transformation), copies(model)
    update(trained, model, grad(loss, model))
    return moved(before, model)


def injected(rate: Any = 0.5) -> Any:
    """Return SGD whose learning rate stands in its state."""
    return optax.inject_hyperparams(optax.sgd)(learning_rate=rate)


def rate_of(trained: Any) -> Any:
    """Return the learning rate in the state of an optimizer."""
    return trained.opt_state.hyperparams["learning_rate"]


def stepping(transformation: Any) -> tuple[Any, Callable[[], float], list[int]]:
    """Return an optimizer, a compiled step that says how far the bias has moved for its gradient, and its traces."""
    model, traced = Layer(), []
    trained = optimizer(model, transformation)

    def step(model: Any, trained: Any) -> Any:
        traced.append(1)
        before, grads = read(model.bias), grad(loss, model)
        update(trained, model, grads)
        return (before - read(model.bias)) / read(leaves(grads)["bias"])

    compiled: Any = nnx.jit(step)
    return trained, lambda: round(float(compiled(model, trained)[0]), 4), traced


@claim(
    "a-mask-of-a-state-raises",
    "A mask that `jax.tree.map` makes of `nnx.state(model)` raises a ValueError of different types in the tree.",
    FREEZE,
    OPTAX,
)
def a_mask_of_a_state_raises() -> None:
    mask = jax.tree.map(is_matrix, params())
    raises(lambda: decayed(decaying(mask)), ValueError, WRAPPED)


@claim(
    "a-mask-of-pure-values-fits",
    "A mask of `nnx.as_pure` of the mapped state fits `optax.adamw`, and weight decay moves the kernels alone.",
    FREEZE,
    OPTAX,
)
def a_mask_of_pure_values_fits() -> None:
    mask = nnx.as_pure(jax.tree.map(is_matrix, params()))
    expect(works(lambda: decayed(decaying(mask))), ["kernel"])


@claim(
    "a-mask-may-be-a-function",
    "With a function for its mask, the weight decay of `optax.adamw` moves the kernels alone.",
    DECAY,
)
def a_mask_may_be_a_function() -> None:
    transformation = decaying(lambda tree: jax.tree.map(is_matrix, tree))
    expect(works(lambda: decayed(transformation)), ["kernel"])


@claim(
    "weight-decay-moves-a-bias",
    "Without a mask, the weight decay of `optax.adamw` moves a bias whose gradient is zero.",
    DECAY,
)
def weight_decay_moves_a_bias() -> None:
    expect([decayed(decaying(None)), decayed(optax.adam(0.1))], [["bias", "kernel"], []])


@claim(
    "labels-of-a-state-raise",
    "Labels that `jax.tree.map` makes of `nnx.state(model)` raise a ValueError of different types in the tree.",
    FREEZE,
    ISSUE,
)
def labels_of_a_state_raise() -> None:
    labels = jax.tree.map(label, params())
    raises(lambda: stepped(by_label(labels)), ValueError, WRAPPED)


@claim(
    "labels-may-be-a-function",
    "With a function for its labels, `optax.multi_transform` moves each group of Params by its own transformation.",
    FREEZE,
)
def labels_may_be_a_function() -> None:
    expect(works(lambda: stepped(by_label(lambda tree: jax.tree.map(label, tree)))), ["kernel"])


@claim(
    "an-injected-rate-is-a-variable",
    "The learning rate of `optax.inject_hyperparams` is a Variable in the state of an `nnx.Optimizer`.",
    TYPES,
)
def an_injected_rate_is_a_variable() -> None:
    rate = works(lambda: rate_of(optimizer(Layer(), injected(0.5))))
    expect([isinstance(rate, nnx.Variable), float(read(rate))], [True, 0.5])


@claim(
    "a-rate-may-be-written",
    "A learning rate of `optax.inject_hyperparams` that is written into its Variable holds from the next step on.",
    SEE,
    ISSUE,
)
def a_rate_may_be_written() -> None:
    trained, step, traced = stepping(injected(0.5))
    expect(works(step), 0.5)
    write(rate_of(trained), jnp.asarray(0.25, jnp.float32))
    expect([step(), len(traced)], [0.25, 1])


@claim(
    "a-rate-in-the-place-of-the-variable",
    "A number in the place of the Variable of an injected learning rate holds from the next step on.",
    "lessons/reading-writing.md#the-variable-is-replaced",
)
def a_rate_in_the_place_of_the_variable() -> None:
    trained, step, _ = stepping(injected(0.5))
    expect(works(step), 0.5)
    trained.opt_state.hyperparams["learning_rate"] = 0.25
    expect(works(step), 0.25)


@claim(
    "a-scheduled-rate-is-written-over",
    "Where `optax.inject_hyperparams` gets a schedule, the next step writes over a rate that was written.",
    SEE,
)
def a_scheduled_rate_is_written_over() -> None:
    trained, step, _ = stepping(injected(optax.linear_schedule(0.5, 0.1, 4)))
    expect([works(step), works(step)], [0.5, 0.4])
    write(rate_of(trained), jnp.asarray(9.0, jnp.float32))
    expect(float(read(rate_of(trained))), 9.0)
    expect([step(), round(float(read(rate_of(trained))), 4)], [0.3, 0.3])


@claim(
    "a-rate-is-no-attribute",
    "`optimizer.learning_rate` is an AttributeError.",
    SEE,
    ISSUE,
)
def a_rate_is_no_attribute() -> None:
    trained: Any = optimizer(Layer(), optax.sgd(0.1))
    raises(lambda: trained.learning_rate, AttributeError, "learning_rate")


@claim(
    "the-step-counts-micro-steps",
    "With `optax.MultiSteps` of 2, `optimizer.step` counts each update, and the Params move at every second one.",
    SEE,
    "an issue of MaxText",
)
def the_step_counts_micro_steps() -> None:
    model = Layer()
    trained = works(lambda: optimizer(model, optax.MultiSteps(optax.sgd(0.1), every_k_schedule=2)))
    seen = []
    for _ in range(4):
        before = copies(model)
        works(lambda: update(trained, model, grad(loss, model)))
        seen.append((int(read(trained.step)), len(moved(before, model))))
    expect(seen, [(1, 0), (2, 2), (3, 0), (4, 2)])
    expect(int(read(trained.opt_state.gradient_step)), 2)


@claim(
    "a-schedule-counts-gradient-steps",
    "A schedule inside of `optax.MultiSteps` counts the steps that move the Params, and no micro-steps.",
    SEE,
)
def a_schedule_counts_gradient_steps() -> None:
    rates = optax.piecewise_constant_schedule(0.5, {1: 0.5})
    _, step, _ = works(lambda: stepping(optax.MultiSteps(optax.sgd(rates), every_k_schedule=2)))
    expect([works(step) for _ in range(3)][::2], [0.0, 0.0])
    _, step, _ = stepping(optax.sgd(rates))
    expect([step() for _ in range(2)], [0.5, 0.25])


@claim(
    "the-step-counts-what-is-left-out",
    "Where `optax.apply_if_finite` leaves out a gradient of NaN, the Params stay and `optimizer.step` counts.",
    SEE,
)
def the_step_counts_what_is_left_out() -> None:
    model = Layer()
    trained, before = optimizer(model, optax.apply_if_finite(optax.sgd(0.1), 3)), copies(model)
    update(trained, model, grad(lambda model: loss(model) * jnp.nan, model))
    expect([moved(before, model), int(read(trained.step))], [[], 1])
    update(trained, model, grad(loss, model))
    expect([moved(before, model), int(read(trained.step))], [["bias", "kernel"], 2])


@claim(
    "update-hands-a-value-on",
    "`optimizer.update(model, grads, value=loss)` hands the value to a transformation that asks for one.",
    SEE,
)
def update_hands_a_value_on() -> None:
    seen: list[float] = []

    def note(updates: Any, state: Any, params: Any = None, *, value: Any) -> Any:
        seen.append(float(value))
        return updates, state

    model = Layer()
    transformation = optax.GradientTransformationExtraArgs(lambda _: optax.EmptyState(), note)
    trained: Any = optimizer(model, transformation)
    works(lambda: trained.update(model, grad(loss, model), value=3.0))
    expect(seen, [3.0])


@claim(
    "moments-may-be-bfloat16",
    "`optax.adam` with `mu_dtype=jnp.bfloat16` keeps the first moments in bfloat16, and the second in float32.",
    "lessons/reading-writing.md#the-number-changes",
)
def moments_may_be_bfloat16() -> None:
    model = Layer()
    trained = optimizer(model, optax.adam(0.1, mu_dtype=jnp.bfloat16))
    update(trained, model, grad(loss, model))
    expect(bool((read(trained.opt_state[0].mu["bias"]) != 0.0).any()), True)
    kinds = [str(read(moment["bias"]).dtype) for moment in (trained.opt_state[0].mu, trained.opt_state[0].nu)]
    expect(kinds, ["bfloat16", "float32"])


@claim(
    "incremental-update-moves-a-target",
    "`optax.incremental_update` of two states of `nnx.state`, put back by `nnx.update`, moves a target network.",
    "lessons/split-merge.md#see",
)
def incremental_update_moves_a_target() -> None:
    model, target = Layer(bias=lambda _: nnx.Param(jnp.ones(2))), Layer()
    moved_on = works(lambda: optax.incremental_update(*map(nnx.state, (model, target)), 0.25))
    works(lambda: nnx.update(target, moved_on))
    expect(read(target.bias).tolist(), [0.25, 0.25])


@claim(
    "a-new-head-keeps-its-shape",
    "A head of one output, in the place of one of two, keeps its shape in a step of the optimizer from before.",
    NEW,
    ISSUE,
)
def a_new_head_keeps_its_shape() -> None:
    def outputs(model: Any) -> Any:
        return jnp.sum(model.head(jnp.ones(2)) ** 2)

    model = Headed()
    trained = optimizer(model, optax.adam(0.1))
    model.head = nnx.Linear(2, 1, rngs=nnx.Rngs(1))
    expect(read(model.head.bias).tolist(), [0.0])
    works(lambda: update(trained, model, grad(outputs, model)))
    expect(bool(read(model.head.bias).any()), True)
    expect(read(model.head.bias).shape, (1,))
