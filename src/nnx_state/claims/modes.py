"""Graph mode and tree mode: what each of them differentiates, writes back and refuses."""

from typing import Any

import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import (
    Layer,
    bump,
    bump_plain,
    bumped,
    copies,
    count_is,
    counted,
    grad,
    loss,
    moved,
    names,
    numbers,
    optimizer,
    read,
    tree_mode,
    under,
    update,
)
from nnx_state.claims.registry import claim, differs, expect, need, need_keyword, raises, works

SEE = "lessons/transforms.md#see"
COST = "lessons/cost.md#see"
RAISE = "lessons/cost.md#calls-that-raise"
TIES = "lessons/split-merge.md#a-tie-comes-apart"
MAPPED = "lessons/vmap-scan.md#see"
GUIDE = "a guide of Flax"


class Tied(nnx.Module):
    """A module whose one Param has two names."""

    def __init__(self) -> None:
        self.encoder = nnx.Param(jnp.ones(2))
        self.decoder = self.encoder


def product(model: Any) -> Any:
    """Return a number that depends on both names of a Tied."""
    return jnp.sum(read(model.encoder) * read(model.decoder))


def extend(model: Any) -> Any:
    """Add a Variable to a model, and return what it holds."""
    model.extra = nnx.Variable(jnp.ones(2))
    return read(model.extra)


def count_plain(model: Any) -> Any:
    """Count one in a plain number, and return the count."""
    bump_plain(model)
    return model.count


def replace(model: Any) -> None:
    """Put another Variable in the place of the count."""
    model.count = nnx.Variable(jnp.array(5.0))


@claim(
    "tree-mode-refuses-an-integer",
    "In tree mode `nnx.grad` of a model with an integer Variable raises a TypeError.",
    "lessons/training.md#calls-that-raise",
    GUIDE,
)
def tree_mode_refuses_an_integer() -> None:
    with tree_mode():
        model = Layer(nnx.Variable(jnp.array(0)))
        raises(lambda: nnx.grad(loss)(model), TypeError, "grad requires real- or complex-valued inputs")


@claim(
    "tree-mode-has-a-gradient-of-a-count",
    "In tree mode `nnx.grad` returns a gradient for a float count that the loss depends on.",
    "lessons/training.md#see",
    GUIDE,
)
def tree_mode_has_a_gradient_of_a_count() -> None:
    with tree_mode():
        grads: Any = nnx.grad(counted)(Layer(nnx.Variable(jnp.array(5.0))))
        expect(numbers(nnx.state(grads)).get("count"), 10.0)


@claim(
    "tree-mode-refuses-diffstate",
    "In tree mode `nnx.grad` refuses `nnx.DiffState` with a ValueError.",
    "lessons/training.md#calls-that-raise",
    GUIDE,
)
def tree_mode_refuses_diffstate() -> None:
    with tree_mode():
        raises(lambda: grad(loss, Layer(), only=nnx.Param), ValueError, "`argnums` cannot contain `DiffState` objects")


@claim(
    "tree-mode-refuses-state-axes",
    "In tree mode `nnx.vmap` refuses `nnx.StateAxes` with a ValueError.",
    "lessons/vmap-scan.md#what-raises",
    GUIDE,
)
def tree_mode_refuses_state_axes() -> None:
    make: Any = nnx.StateAxes
    axes = make({...: None})
    with tree_mode():
        raises(lambda: nnx.vmap(Layer.__call__, in_axes=(axes, 0)), ValueError, "`in_axes` cannot contain `StateAxes`")


@claim(
    "tree-mode-jit-refuses-a-tie",
    "In tree mode `nnx.jit` refuses a model in which one Variable has two names.",
    TIES,
    GUIDE,
)
def tree_mode_jit_refuses_a_tie() -> None:
    with tree_mode():
        raises(lambda: nnx.jit(product)(Tied()), ValueError, "Duplicate Param")


@claim(
    "tree-mode-split-refuses-a-tie",
    "In tree mode `nnx.split` refuses a model in which one Variable has two names.",
    TIES,
    GUIDE,
)
def tree_mode_split_refuses_a_tie() -> None:
    with tree_mode():
        raises(lambda: nnx.split(Tied()), ValueError, "Duplicate Param")


@claim(
    "jit-takes-one-model-twice",
    "`nnx.jit` takes one model as two arguments, and what is written through the first shows in the second.",
    TIES,
)
def jit_takes_one_model_twice() -> None:
    def visit(one: Any, other: Any) -> Any:
        bump(one)
        return read(other.count)

    model = Layer()
    expect(float(works(lambda: under(nnx.jit, visit)(model, model))), 1.0)


@claim(
    "tree-mode-refuses-one-model-twice",
    "In tree mode `nnx.jit` refuses one model as two arguments.",
    TIES,
    GUIDE,
)
def tree_mode_refuses_one_model_twice() -> None:
    model = Layer()
    with tree_mode():
        call: Any = nnx.jit(lambda one, other: None)
        raises(lambda: call(model, model), ValueError, "Duplicate")


@claim(
    "jit-returns-the-model-itself",
    "A model that a function under `nnx.jit` takes and returns is the one that it was given.",
    SEE,
)
def jit_returns_the_model_itself() -> None:
    model = Layer()
    returned = works(lambda: under(nnx.jit, bumped)(model))
    count_is(returned, 1.0)
    if returned is not model:
        differs("it is another model")


@claim(
    "tree-mode-grad-of-two-states",
    "In tree mode `nnx.grad` of a loss of the Params and the rest has gradients of the Params, and keeps a count.",
    "lessons/split-merge.md#see",
    GUIDE,
)
def tree_mode_grad_of_two_states() -> None:
    with tree_mode():
        model = Layer()
        split: Any = nnx.split
        graph, params, rest = split(model, nnx.Param, ...)

        def visit(params: Any, rest: Any) -> Any:
            merged = nnx.merge(graph, params, rest)
            bump(merged)
            return counted(merged)

        grads = nnx.grad(visit)(params, rest)
        expect(names(grads), ["bias", "kernel"])
        count_is(model, 1.0)


@claim(
    "tree-mode-gives-back-a-new-variable",
    "In tree mode a Variable that a function under `nnx.jit` adds to a model comes back.",
    "lessons/containers.md#a-module-made-under-a-trace",
    GUIDE,
)
def tree_mode_gives_back_a_new_variable() -> None:
    with tree_mode():
        model = Layer()
        expect(nnx.jit(extend)(model).tolist(), [1.0, 1.0])
        if not hasattr(model, "extra"):
            differs(f"the state of the model holds {names(model)}")


@claim(
    "jit-gives-back-a-replaced-variable",
    "A Variable that a function under `nnx.jit` puts in the place of another comes back.",
    "lessons/reading-writing.md#the-variable-is-replaced",
)
def jit_gives_back_a_replaced_variable() -> None:
    model = Layer()
    under(nnx.jit, replace)(model)
    count_is(model, 5.0)


@claim(
    "tree-mode-gives-back-a-number",
    "In tree mode `nnx.jit` writes a change of a Python number back.",
    "lessons/homes.md#a-static-counter",
    GUIDE,
)
def tree_mode_gives_back_a_number() -> None:
    with tree_mode():
        model = Layer(count=0)
        expect(float(nnx.jit(count_plain)(model)), 1.0)
        expect(model.count, 1.0)


@claim(
    "tree-mode-trains",
    "In tree mode a step under `nnx.jit` with `nnx.grad` and `nnx.Optimizer` moves the Params, and keeps a count.",
    "lessons/training.md#run",
    GUIDE,
)
def tree_mode_trains() -> None:
    def step(model: Any, trained: Any) -> None:
        bump(model)
        update(trained, model, nnx.grad(loss)(model))

    with tree_mode():
        model = Layer()
        trained, before = optimizer(model, optax.sgd(0.1)), copies(model)
        under(nnx.jit, step)(model, trained)
        expect(moved(before, model), ["bias", "count", "kernel"])
        count_is(model, 1.0)
        expect(int(read(trained.step)), 1)


@claim(
    "tree-mode-optimizer-leaves-a-count",
    "In tree mode `nnx.Optimizer` with `wrt=nnx.Param` leaves a count alone that has a gradient.",
    "lessons/training.md#see",
)
def tree_mode_optimizer_leaves_a_count() -> None:
    with tree_mode():
        model = Layer(nnx.Variable(jnp.array(5.0)))
        trained, before = optimizer(model, optax.sgd(0.1)), copies(model)
        grads: Any = nnx.grad(counted)(model)
        expect(numbers(nnx.state(grads)).get("count"), 10.0)
        update(trained, model, grads)
        expect(moved(before, model), ["bias", "kernel"])


@claim(
    "scan-returns-the-model-itself",
    "The model that `nnx.scan` carries and returns is the one that it was given.",
    MAPPED,
)
def scan_returns_the_model_itself() -> None:
    def visit(model: Any, x: Any) -> Any:
        bump(model)
        return model, x

    need(nnx, "Carry")
    model = Layer(nnx.Variable(jnp.zeros(())))
    scanned: Any = works(lambda: nnx.scan(visit, in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0)))
    returned, _ = works(lambda: scanned(model, jnp.ones((3, 4))))
    count_is(returned, 3.0)
    if returned is not model:
        differs("it is another model")


@claim(
    "graph-false-keeps-a-variable",
    "`nnx.jit` with `graph=False` writes a change of a Variable back.",
    COST,
)
def graph_false_keeps_a_variable() -> None:
    need_keyword(nnx.jit, "graph")
    model = Layer()
    under(nnx.jit, bump, graph=False)(model)
    count_is(model, 1.0)


@claim(
    "graph-false-refuses-a-tie",
    "`nnx.jit` with `graph=False` refuses a model in which one Variable has two names.",
    RAISE,
)
def graph_false_refuses_a_tie() -> None:
    need_keyword(nnx.jit, "graph")
    raises(lambda: nnx.jit(product, graph=False)(Tied()), ValueError, "Duplicate Param")
