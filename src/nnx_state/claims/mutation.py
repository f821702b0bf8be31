"""What NNX writes back: which changes of a module come back from split, `nnx.jit` and `nnx.grad`."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import (
    NO_ARRAYS,
    Layer,
    Tracer,
    add,
    bump,
    bump_plain,
    count_is,
    grad,
    names,
    read,
    traces,
    tree_mode,
    under,
)
from nnx_state.claims.registry import claim, differs, expect

SEE = "lessons/transforms.md#see"
LOST = "lessons/multi-param.md#a-change-that-does-not-come-back"
TRACED = "lessons/containers.md#a-module-made-under-a-trace"
GUIDE = "a guide of Flax"


class Recorder(nnx.Module):
    """A module whose call sets an attribute that it did not have: a plain array."""

    def __call__(self, x: Any) -> Any:
        """Keep the mean of the input, and return it."""
        self.last = jnp.mean(x)
        return self.last


class Plain(nnx.Module):
    """A module whose count is a plain array."""

    def __init__(self) -> None:
        self.count = jnp.array(0.0)


def counting(model: Any) -> Any:
    bump(model)
    return jnp.sum(model(jnp.ones(4)))


def extend(model: Any) -> None:
    model.extra = nnx.Variable(jnp.ones(2))


def last_is_state(model: Any) -> None:
    """Go on where `last` is an array and a leaf of the state of the model."""
    found = names(model)
    if isinstance(model.last, Tracer):
        differs(f"`last` is a leaked tracer, and the state of the model holds {found}")
    expect(found, ["last"])


def jitted(write: Callable[[Any], None], model: Any) -> Any:
    """Return a model that a function under `nnx.jit` has written to."""
    under(nnx.jit, write)(model)
    return model


@claim(
    "assigned-array-survives-split",
    "An array that a call assigns outlives `nnx.split` and `nnx.merge`.",
    LOST,
    instead=NO_ARRAYS,
)
def assigned_array_survives_split() -> None:
    model = Recorder()
    model(jnp.ones(2))
    merged = nnx.merge(*nnx.split(model))
    if not hasattr(merged, "last"):
        differs("the merged model does not have it")
    expect(float(read(merged.last)), 1.0)


@claim(
    "new-array-comes-back-from-jit",
    "An array that a call under `nnx.jit` assigns to a new attribute comes back as state.",
    TRACED,
    instead=(NO_ARRAYS, "has no attribute 'last'"),
)
def new_array_comes_back_from_jit() -> None:
    model = Recorder()
    nnx.jit(lambda model, x: model(x))(model, jnp.ones(2))
    last_is_state(model)


@claim(
    "new-array-under-jit-twice",
    "A call under `nnx.jit` that assigns an array to a new attribute works a second time.",
    TRACED,
    instead=(NO_ARRAYS, "Exception raised while checking equality of metadata fields"),
)
def new_array_under_jit_twice() -> None:
    model, call = Recorder(), nnx.jit(lambda model, x: model(x))
    call(model, jnp.ones(2))
    expect(float(call(model, jnp.ones(2) * 2)), 2.0)


@claim(
    "new-array-comes-back-from-grad",
    "An array that a call under `nnx.grad` assigns to a new attribute comes back as state.",
    TRACED,
    instead=(NO_ARRAYS, "has no attribute 'last'"),
)
def new_array_comes_back_from_grad() -> None:
    model = Recorder()
    nnx.grad(lambda x, model: model(x), argnums=0)(jnp.ones(2), model)
    last_is_state(model)


@claim("jit-writes-back-a-variable", "`nnx.jit` writes a change of a Variable back into the module.", LOST, GUIDE)
def jit_writes_back_a_variable() -> None:
    count_is(jitted(bump, Layer()), 1.0)


@claim(
    "jit-writes-back-an-array",
    "`nnx.jit` writes a change of a plain array attribute back.",
    LOST,
    instead=NO_ARRAYS,
)
def jit_writes_back_an_array() -> None:
    count_is(jitted(bump_plain, Plain()), 1.0)


@claim(
    "jit-writes-back-a-number",
    "`nnx.jit` writes a change of a Python number back.",
    "lessons/homes.md#a-static-counter",
)
def jit_writes_back_a_number() -> None:
    count_is(jitted(bump_plain, Layer(count=0)), 1.0)


@claim(
    "jit-writes-back-at-each-call",
    "A step under `nnx.jit` that adds one to a Variable is traced once, and three calls count three.",
    "lessons/counters.md#predict",
)
def jit_writes_back_at_each_call() -> None:
    model = Layer(nnx.Variable(jnp.zeros((), jnp.int32)))
    step, traced = traces(lambda model: add(model.count, 1))
    for _ in range(3):
        step(model)
    expect((int(read(model.count)), len(traced)), (3, 1))


@claim(
    "variable-can-be-added-later",
    "A Variable may be assigned outside of `__init__`: it is state from then on.",
    "lessons/containers.md#see",
)
def variable_can_be_added_later() -> None:
    model = Layer()
    extend(model)
    expect(names(model), ["bias", "count", "extra", "kernel"])


@claim(
    "variable-can-be-added-under-jit",
    "A Variable that a function under `nnx.jit` adds to a module comes back as state.",
    TRACED,
)
def variable_can_be_added_under_jit() -> None:
    model: Any = jitted(extend, Layer())
    expect(names(model), ["bias", "count", "extra", "kernel"])
    expect(read(model.extra).tolist(), [1.0, 1.0])


@claim("grad-keeps-a-count", "What a loss writes into a Variable comes back from `nnx.grad`.", SEE)
def grad_keeps_a_count() -> None:
    model = Layer()
    grad(counting, model)
    count_is(model, 1.0)


@claim("value-and-grad-keeps-a-count", "What a loss writes into a Variable comes back from `nnx.value_and_grad`.", SEE)
def value_and_grad_keeps_a_count() -> None:
    model = Layer()
    under(nnx.value_and_grad, counting)(model)
    count_is(model, 1.0)


@claim("remat-keeps-a-count", "What a function under `nnx.remat` writes into a Variable comes back.", SEE)
def remat_keeps_a_count() -> None:
    model = Layer()
    under(nnx.remat, counting)(model)
    count_is(model, 1.0)


@claim(
    "tree-mode-keeps-a-variable",
    "In tree mode, `nnx.set_graph_mode(False)`, `nnx.jit` writes a change of a Variable back.",
    "lessons/cost.md#run",
)
def tree_mode_keeps_a_variable() -> None:
    with tree_mode("set_graph_mode"):
        count_is(jitted(bump, Layer()), 1.0)


@claim(
    "tree-mode-keeps-an-array",
    "In tree mode, `nnx.set_graph_mode(False)`, `nnx.jit` writes a change of a plain array back.",
    "lessons/cost.md#see",
)
def tree_mode_keeps_an_array() -> None:
    with tree_mode("set_graph_mode"):
        count_is(jitted(bump_plain, Plain()), 1.0)
