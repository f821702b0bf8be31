"""Optimizers: what `nnx.Optimizer` keeps, moves and asks for."""

from typing import Any

import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import (
    VERSION,
    Layer,
    copies,
    counted,
    counting,
    grad,
    loss,
    moved,
    names,
    optimizer,
    read,
    update,
)
from nnx_state.claims.registry import claim, differs, expect, raises

GUIDE = "a guide of Flax"
ISSUE = "an issue of Flax"
SEE = "lessons/training.md#see"
RAISE = "lessons/training.md#calls-that-raise"
UPGRADE = "upgrading.md#flax-011"
NOTHING = "lessons/training.md#a-filter-that-matches-nothing-or-too-much"
SGD = optax.sgd(0.1)
# What JAX says where a gradient has fewer leaves than the moments, today and before.
FEWER = ("different numbers of pytree children", "Mismatch custom node data")


@claim(
    "wrt-variable-trains-a-variable",
    "An optimizer with `wrt=nnx.Variable`, and gradients of the same filter, trains a Variable that is no Param.",
    "lessons/training.md#the-wrong-label",
)
def wrt_variable_trains_a_variable() -> None:
    model = counting()
    update(optimizer(model, SGD, wrt=nnx.Variable), model, grad(counted, model, only=nnx.Variable))
    expect(round(float(read(model.count)), 4), 4.0)


@claim("moments-of-the-params-alone", "With `wrt=nnx.Param`, Adam has moments of the Params alone.", SEE)
def moments_of_the_params_alone() -> None:
    moments = optimizer(counting(), optax.adam(0.1)).opt_state[0]
    expect([names(moments.mu), names(moments.nu)], [["bias", "kernel"], ["bias", "kernel"]])


@claim("wrt-is-required", "`nnx.Optimizer(model, tx)` without `wrt` raises a TypeError.", RAISE, GUIDE)
def wrt_is_required() -> None:
    make: Any = nnx.Optimizer
    raises(lambda: make(Layer(), SGD), TypeError, "Missing required argument `wrt`")


@claim("update-needs-the-model", "`optimizer.update(grads)` without the model raises a TypeError.", RAISE, GUIDE)
def update_needs_the_model() -> None:
    model = Layer()
    trained, grads = optimizer(model, SGD), grad(loss, model)
    raises(lambda: trained.update(grads), TypeError, ("Missing required argument `grads`", "'grads'"))


@claim(
    "update-takes-the-model",
    "`optimizer.update(model, grads)` takes a step.",
    SEE,
    GUIDE,
    instead="takes 2 positional arguments but 3 were given",
)
def update_takes_the_model() -> None:
    model = Layer()
    trained, before = optimizer(model, SGD), copies(model)
    trained.update(model, grad(loss, model))
    expect(moved(before, model), ["bias", "kernel"])


@claim(
    "the-optimizer-keeps-the-model",
    "An optimizer keeps its model, as `optimizer.model`.",
    RAISE,
    GUIDE,
    instead="have attribute 'model'",
)
def the_optimizer_keeps_the_model() -> None:
    model = Layer()
    if optimizer(model, SGD).model is not model:
        differs("it is another model")


@claim(
    "model-and-optimizer",
    "`nnx.ModelAndOptimizer(model, tx)` keeps the model, needs no `wrt`, and takes a step with the gradients alone.",
    UPGRADE,
)
def model_and_optimizer() -> None:
    model = Layer()
    trained: Any = nnx.ModelAndOptimizer(model, SGD)
    before = copies(model)
    trained.update(grad(loss, model))
    expect(moved(before, trained.model), ["bias", "kernel"])
    if trained.model is not model:
        differs("it keeps another model")


@claim(
    "the-state-of-an-optimizer",
    "`nnx.state(optimizer)` holds the step and the moments, and no Params of the model.",
    "lessons/checkpoints.md#a-part-of-the-state-is-forgotten",
)
def the_state_of_an_optimizer() -> None:
    found = names(nnx.state(optimizer(Layer(), optax.adam(0.1))))
    expect(sorted({path.partition(".")[0] for path in found}), ["opt_state", "step"])
    expect(sorted({part for path in found for part in path.split(".")} & {"mu", "nu"}), ["mu", "nu"])


@claim("the-optimizer-counts-its-steps", "`optimizer.step` is a Variable that counts the updates.", SEE)
def the_optimizer_counts_its_steps() -> None:
    model = Layer()
    trained = optimizer(model, SGD)
    expect(isinstance(trained.step, nnx.Variable), True)
    for number in range(3):
        expect(int(read(trained.step)), number)
        update(trained, model, grad(loss, model))


@claim(
    "a-wider-gradient-is-filtered",
    "An optimizer with `wrt=nnx.Param` drops what else a gradient of all Variables holds, and moves the Params alone.",
    SEE,
    "an issue of Flax",
    instead="Mismatch custom node data",
)
def a_wider_gradient_is_filtered() -> None:
    model = counting()
    trained, before = optimizer(model, SGD), copies(model)
    wide = grad(counted, model, only=nnx.Variable)
    expect(names(wide), ["bias", "count", "kernel"])
    update(trained, model, wide)
    expect(moved(before, model), ["bias", "kernel"])


@claim(
    "a-narrower-gradient-raises",
    "A gradient with fewer leaves than the optimizer's `wrt` matches raises a ValueError.",
    RAISE,
    "an issue of Flax",
)
def a_narrower_gradient_raises() -> None:
    model = Layer()
    narrow = grad(loss, model, only=nnx.PathContains("bias"))
    trained = optimizer(model, optax.adam(0.1))
    raises(lambda: update(trained, model, narrow), ValueError, FEWER)


@claim(
    "a-filter-that-matches-nothing",
    "With one misspelt filter for the gradient and in `wrt`, a step moves nothing and raises nothing.",
    NOTHING,
    instead="tuple index out of range",
)
def a_filter_that_matches_nothing() -> None:
    model = Layer()
    misspelt = nnx.PathContains("biases")
    trained, before = optimizer(model, optax.adam(0.1), wrt=misspelt), copies(model)
    update(trained, model, grad(loss, model, only=misspelt))
    expect(moved(before, model), [])
    expect(int(read(trained.step)), 1)


@claim(
    "update-returns-the-updates",
    "`optimizer.update` returns what it has added to the Params.",
    "lessons/training.md#run",
)
def update_returns_the_updates() -> None:
    model = Layer()
    trained, before = optimizer(model, SGD), copies(model)
    grads = grad(loss, model)
    added = trained.update(*((model, grads) if VERSION >= (0, 11, 0) else (grads,)))
    if added is None:
        differs("it returns None")
    expect(names(added), ["bias", "kernel"])
    if not jnp.allclose(read(model.bias), before["bias"] + read(added["bias"])):
        differs("the bias has moved by something else")
