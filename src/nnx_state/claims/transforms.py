"""Transforms of NNX: what makes `nnx.jit` trace again, and what the control flow of NNX writes back."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import (
    Layer,
    add,
    bumped,
    copies,
    count_is,
    grad,
    loss,
    moved,
    optimizer,
    read,
    refuses_outer,
    step,
    traces,
    under,
    update,
)
from nnx_state.claims.registry import claim, expect, raises

AGAIN = "lessons/transforms.md#the-step-compiles-at-every-call"
CLOSED = "lessons/transforms.md#the-model-is-not-an-argument"
FLOW = "lessons/transforms.md#control-flow-from-jaxlax"
ISSUE = "an issue of Flax"
SGD = optax.sgd(0.1)


def counter() -> Layer:
    """Return a layer whose count is a Variable of 0.0, which is not weakly typed."""
    return Layer(nnx.Variable(jnp.zeros(())))


def traced(make: Callable[[int], tuple[Any, ...]], function: Callable[..., Any] = lambda *arguments: None) -> int:
    """Return how often `nnx.jit` traces a function in three calls, each with arguments that are made for it."""
    jitted, counted = traces(function)
    for call in range(3):
        jitted(*make(call))
    return len(counted)


def train(model: Any, trained: Any) -> None:
    update(trained, model, grad(loss, model))


@claim(
    "new-arrays-are-not-traced", "A model with other numbers in its Params and Variables is not traced again.", AGAIN
)
def new_arrays_are_not_traced() -> None:
    jitted, counted = traces(loss)
    losses = {float(jitted(step(Layer(), SGD, times=call))) for call in range(3)}
    expect((len(losses), len(counted)), (3, 1))


@claim("another-shape-is-traced", "A model that holds an array of another shape is traced again.", AGAIN)
def another_shape_is_traced() -> None:
    expect(traced(lambda call: (Layer(nnx.Variable(jnp.zeros(call))),)), 3)


@claim("a-model-made-anew-is-not-traced", "A model that is built anew, in the same way, is not traced again.", AGAIN)
def a_model_made_anew_is_not_traced() -> None:
    expect(traced(lambda call: (nnx.Linear(4, 2, rngs=nnx.Rngs(call)),)), 1)


@claim("eval-is-traced", "`model.eval()` makes `nnx.jit` trace again, and `model.train()` after it does not.", AGAIN)
def eval_is_traced() -> None:
    model: Any = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    jitted, counted = traces(lambda model: None)
    for switch in (model.train, model.eval, model.train):
        switch()
        jitted(model)
    expect(len(counted), 2)


@claim("a-new-attribute-is-traced", "A module that has got another attribute is traced again.", AGAIN)
def a_new_attribute_is_traced() -> None:
    def make(call: int) -> tuple[Any, ...]:
        model: Any = Layer()
        for number in range(call):
            setattr(model, f"extra{number}", nnx.Variable(jnp.zeros(())))
        return (model,)

    expect(traced(make), 3)


@claim("a-fresh-filter-is-traced", "An optimizer whose `wrt` is a fresh lambda is traced again.", AGAIN)
def a_fresh_filter_is_traced() -> None:
    expect(traced(lambda call: (optimizer(Layer(), SGD, wrt=lambda path, leaf: path[-1] == "bias"),)), 3)


@claim(
    "a-step-is-traced-once",
    "A training step under `nnx.jit`, called again and again with one model, is traced once.",
    AGAIN,
)
def a_step_is_traced_once() -> None:
    model = Layer()
    trained = optimizer(model, optax.adam(0.1))
    expect(traced(lambda call: (model, trained), train), 1)


@claim(
    "a-jitted-step-trains",
    "A training step under `nnx.jit` gives the numbers of the same step without it.",
    "lessons/transforms.md#run",
)
def a_jitted_step_trains() -> None:
    model = Layer()
    (jitted, counted), trained, before = traces(train), optimizer(model, SGD), copies(model)
    for _ in range(3):
        jitted(model, trained)
    by_hand = step(Layer(), SGD, times=3)
    expect((moved(before, model), len(counted)), (["bias", "kernel"], 1))
    expect(bool(jnp.allclose(read(model.kernel), read(by_hand.kernel), atol=1e-5)), True)


@claim(
    "jit-cannot-write-to-a-closure",
    "Where `nnx.jit` compiles a function that writes to a module from outside, it raises `TraceContextError`.",
    CLOSED,
    ISSUE,
)
def jit_cannot_write_to_a_closure() -> None:
    model = Layer()
    refuses_outer(nnx.jit(lambda: bumped(model)), lambda: read(model.count), "the Variable")


@claim(
    "jit-reads-a-closure-once",
    "`nnx.jit` reads a module from outside of the function once: the compiled code keeps its old numbers.",
    CLOSED,
)
def jit_reads_a_closure_once() -> None:
    model = Layer()
    compiled = nnx.jit(lambda: read(model.count) * 1.0)
    before = float(compiled())
    bumped(model)
    expect([before, float(compiled()), float(read(model.count))], [0.0, 0.0, 1.0])


@claim("cond-keeps-a-count", "What a branch of `nnx.cond` writes to a module comes back.", FLOW)
def cond_keeps_a_count() -> None:
    model = counter()
    nnx.cond(jnp.array(True), bumped, lambda model: model, model)
    count_is(model, 1.0)


@claim("switch-keeps-a-count", "What a branch of `nnx.switch` writes to a module comes back.", FLOW)
def switch_keeps_a_count() -> None:
    model = counter()
    nnx.switch(jnp.array(1), [lambda model: None, lambda model: add(model.count, 2.0)], model)
    count_is(model, 2.0)


@claim("while-keeps-a-count", "What the body of `nnx.while_loop` writes to a module comes back.", FLOW)
def while_keeps_a_count() -> None:
    model = counter()
    nnx.while_loop(lambda model: read(model.count) < 3, bumped, model)
    count_is(model, 3.0)


@claim("fori-keeps-a-count", "What the body of `nnx.fori_loop` writes to a module comes back.", FLOW)
def fori_keeps_a_count() -> None:
    model = counter()
    nnx.fori_loop(0, 3, lambda index, model: bumped(model), model)
    count_is(model, 3.0)


@claim(
    "branches-write-alike",
    "Where one branch of `nnx.cond` adds an attribute and the other does not, it raises a TypeError.",
    FLOW,
)
def branches_write_alike() -> None:
    def extend(model: Any) -> None:
        model.extra = nnx.Variable(jnp.zeros(()))

    alike = ("must have the same pytree structure", "must have same type structure")
    raises(lambda: nnx.cond(jnp.array(True), extend, lambda model: None, counter()), TypeError, alike)


@claim("cond-inside-jit-keeps-a-count", "What a branch of `nnx.cond` writes inside of `nnx.jit` comes back, too.", FLOW)
def cond_inside_jit_keeps_a_count() -> None:
    def visit(model: Any, flag: Any) -> None:
        nnx.cond(flag, bumped, lambda model: model, model)

    model = counter()
    under(nnx.jit, visit)(model, jnp.array(True))
    count_is(model, 1.0)
