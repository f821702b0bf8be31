"""Training steps: what a whole step moves, under which jit, and how often it is traced."""

from typing import Any

import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import Layer, add, copies, grad, loss, moved, optimizer, read, traces, update
from nnx_state.claims.registry import claim, differs, expect

GUIDE = "a guide of Flax"
ISSUE = "an issue of Flax"
SEE = "lessons/training.md#see"
SGD = optax.sgd(0.1)


@claim(
    "a-step-under-nnx-jit",
    "A training step under `nnx.jit` that counts is traced once in three calls, trains, and has counted to 3.",
    "lessons/counters.md#see",
    GUIDE,
    instead="grad requires real- or complex-valued inputs",
)
def a_step_under_nnx_jit() -> None:
    def counting_loss(model: Any) -> Any:
        add(model.count, 1)
        return loss(model)

    def one_step(model: Any, trained: Any) -> Any:
        value, grads = nnx.value_and_grad(counting_loss)(model)
        update(trained, model, grads)
        return value

    model = Layer(nnx.Variable(jnp.zeros((), jnp.int32)))
    trained, before = optimizer(model, SGD), copies(model)
    jitted, counted_traces = traces(one_step)
    for _ in range(3):
        jitted(model, trained)
    expect(f"{int(read(model.count))} in {len(counted_traces)} traces", "3 in 1 traces")
    expect(moved(before, model), ["bias", "count", "kernel"])


@claim(
    "plain-optax-trains-the-params",
    "Without `nnx.Optimizer`, Optax on `nnx.state(model, nnx.Param)` and `nnx.update` train the Params alone.",
    "coming-from/linen.md",
    instead="pytree structure error",
)
def plain_optax_trains_the_params() -> None:
    model = Layer()
    before, params = copies(model), nnx.state(model, nnx.Param)
    tx = optax.adamw(0.01, weight_decay=0.1)
    state, first = tx.init(params), float(loss(model))
    for _ in range(3):
        updates, state = tx.update(grad(loss, model), state, params)
        params = optax.apply_updates(params, updates)
        nnx.update(model, params)
    expect(moved(before, model), ["bias", "kernel"])
    if float(loss(model)) >= first:
        differs("the loss does not fall")


@claim(
    "two-optimizers-train-as-one",
    "Two optimizers, one for the kernel and one for the bias, train a model as one optimizer of both does.",
    SEE,
)
def two_optimizers_train_as_one() -> None:
    one, two, tx = Layer(), Layer(), optax.adam(0.1)
    whole, before = optimizer(one, tx), copies(one)
    parts = {name: optimizer(two, tx, wrt=nnx.PathContains(name)) for name in ("bias", "kernel")}
    for _ in range(2):
        update(whole, one, grad(loss, one))
        grads = {name: grad(loss, two, only=nnx.PathContains(name)) for name in parts}
        for name, part in parts.items():
            update(part, two, grads[name])
    expect(moved(before, one), ["bias", "kernel"])
    expect([name for name in parts if not jnp.allclose(copies(one)[name], copies(two)[name])], [])


def traces_of(first: Any, second: Any) -> int:
    """Return how often a step is traced that runs with one transformation, and then with another."""

    def one_step(model: Any, trained: Any) -> None:
        update(trained, model, nnx.grad(loss)(model))

    jitted, counted_traces = traces(one_step)
    for transformation in (first, second):
        model = Layer()
        jitted(model, optimizer(model, transformation))
    return len(counted_traces)


@claim(
    "a-fresh-transformation-is-traced-again",
    "`nnx.jit` traces a step again when the optimizer is made anew with a transformation that is made anew.",
    "lessons/transforms.md#the-step-compiles-at-every-call",
    ISSUE,
)
def a_fresh_transformation_is_traced_again() -> None:
    expect(traces_of(optax.adam(0.1), optax.adam(0.1)), 2)


@claim(
    "a-fresh-optimizer-is-not-traced-again",
    "`nnx.jit` does not trace a step again when the optimizer is made anew with the same transformation.",
    "lessons/transforms.md#the-step-compiles-at-every-call",
)
def a_fresh_optimizer_is_not_traced_again() -> None:
    expect(traces_of(SGD, SGD), 1)
