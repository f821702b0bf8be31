"""Transforms of JAX: what becomes of a write to a module under `jax.jit`, `jax.vmap` and `jax.lax`."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import (
    Layer,
    bump,
    bump_plain,
    bumped,
    by_jax,
    copies,
    count_is,
    grad,
    loses,
    loss,
    moved,
    optimizer,
    read,
    refuses_outer,
    under,
    update,
    write,
)
from nnx_state.claims.registry import claim, differs, expect

SEE = "lessons/transforms.md#see"
LOST = "lessons/multi-param.md#a-change-that-does-not-come-back"
CLOSED = "lessons/transforms.md#the-model-is-not-an-argument"
FLOW = "lessons/transforms.md#control-flow-from-jaxlax"
COUNTS = "lessons/vmap-scan.md#counts-that-are-lost"
GUIDE, ISSUE = "a guide of Flax", "an issue of Flax"


class Plain(nnx.Module):
    """A module whose count is a plain array."""

    def __init__(self) -> None:
        self.count = jnp.array(0.0)


@claim(
    "jax-jit-loses-a-variable",
    "`jax.jit` loses a change of a Variable in silence: it works on a copy of the module.",
    SEE,
    ISSUE,
)
def jax_jit_loses_a_variable() -> None:
    loses(jax.jit, Layer())


@claim("jax-jit-loses-an-array", "`jax.jit` loses a change of a plain array attribute in silence.", LOST)
def jax_jit_loses_an_array() -> None:
    loses(jax.jit, Plain(), bump_plain)


@claim(
    "jax-jit-trains-a-copy", "A training step under `jax.jit` leaves the Params of the caller as they were.", SEE, ISSUE
)
def jax_jit_trains_a_copy() -> None:
    def step(model: Any, trained: Any) -> Any:
        update(trained, model, grad(loss, model))
        return loss(model)

    model = Layer()
    trained, before, first = optimizer(model, optax.sgd(0.01)), copies(model), float(loss(model))
    after = float(by_jax(lambda: jax.jit(step)(model, trained)))
    if after >= first:
        differs(f"inside, the loss goes from {first:.2f} to {after:.2f}")
    expect(moved(before, model), [])


@claim("jax-jit-can-return-the-module", "A module that a function under `jax.jit` returns holds what it changed.", SEE)
def jax_jit_can_return_the_module() -> None:
    model = Layer()
    returned = by_jax(lambda: jax.jit(bumped)(model))
    count_is(returned, 1.0)
    count_is(model, 0.0)


@claim(
    "jax-jit-of-split-state",
    "Where a function under `jax.jit` merges a module and returns its state, `nnx.update` takes the change back.",
    "lessons/split-merge.md",
    GUIDE,
)
def jax_jit_of_split_state() -> None:
    model = Layer()
    graph, state = nnx.split(model)
    step = under(jax.jit, lambda state: nnx.state(bumped(nnx.merge(graph, state))))
    nnx.update(model, step(state))
    count_is(model, 1.0)


@claim(
    "jax-jit-cannot-write-to-a-closure",
    "Where `jax.jit` compiles a function that writes to a module from outside, it raises `TraceContextError`.",
    CLOSED,
    ISSUE,
)
def jax_jit_cannot_write_to_a_closure() -> None:
    model = Layer()
    refuses_outer(jax.jit(lambda: bump(model)), lambda: read(model.count), "the Variable")


@claim(
    "reference-survives-jax-jit",
    "A Variable that holds a JAX reference, `nnx.Variable(x, ref=True)`, keeps a change from `jax.jit`.",
    SEE,
)
def reference_survives_jax_jit() -> None:
    model = Layer(nnx.Variable(jnp.zeros(()), ref=True))
    by_jax(lambda: under(jax.jit, bump)(model))
    count_is(model, 1.0)


@claim(
    "hijax-survives-jax-jit",
    "A Variable that is made with `hijax=True`, as in `nnx.Variable(x, hijax=True)`, keeps a change from `jax.jit`.",
    SEE,
    instead="Cannot update a non-ref HijaxVariable inside JAX transformations",
)
def hijax_survives_jax_jit() -> None:
    model = Layer(nnx.Variable(jnp.zeros(()), hijax=True))
    by_jax(lambda: under(jax.jit, bump)(model))
    count_is(model, 1.0)


@claim("jax-vmap-loses-a-count", "`jax.vmap` over a module loses what the function writes to it, in silence.", COUNTS)
def jax_vmap_loses_a_count() -> None:
    model = Layer(nnx.Variable(jnp.zeros(3)))
    write(model.kernel, jnp.ones((3, 4, 2)))
    write(model.bias, jnp.ones((3, 2)))
    loses(jax.vmap, model)


@claim(
    "jax-scan-loses-a-count", "`jax.lax.scan` over a module loses what the function writes to it, in silence.", COUNTS
)
def jax_scan_loses_a_count() -> None:
    model = Layer(nnx.Variable(jnp.zeros(3)))
    write(model.kernel, jnp.ones((3, 4, 4)))
    write(model.bias, jnp.ones((3, 4)))
    loses(lambda visit: lambda model: jax.lax.scan(lambda x, layer: (x, visit(layer)), 0.0, model)[1], model)


@claim("jax-cond-loses-a-count", "A branch of `jax.lax.cond` works on a copy of a module, and a change is lost.", FLOW)
def jax_cond_loses_a_count() -> None:
    def branch(visit: Any) -> Any:
        return lambda model: jax.lax.cond(jnp.array(True), visit, lambda model: read(model.count), model)

    loses(branch, Layer())


@claim("jax-while-loses-a-count", "The body of `jax.lax.while_loop` works on a copy of a module, too.", FLOW)
def jax_while_loses_a_count() -> None:
    model = Layer(nnx.Variable(jnp.zeros(())))
    returned = by_jax(lambda: jax.lax.while_loop(lambda model: read(model.count) < 3, bumped, model))
    count_is(returned, 3.0)
    count_is(model, 0.0)
