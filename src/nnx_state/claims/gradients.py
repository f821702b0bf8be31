"""Gradients: which values `nnx.grad` and `jax.grad` differentiate."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import (
    Layer,
    add,
    by_jax,
    counted,
    counting,
    grad,
    leaves,
    loss,
    names,
    numbers,
    optimizer,
    read,
    tree_mode,
    update,
)
from nnx_state.claims.registry import claim, differs, expect

GUIDE = "a guide of Flax"
SEE = "lessons/training.md#see"
RUN = "lessons/training.md#run"


def split(model: Any) -> Any:
    """Return the graph of a model, its Params and the rest."""
    return nnx.split(model, nnx.Param, ...)


def jax_grad(function: Any, model: Any) -> Any:
    """Return `jax.grad` of a function of a module, or say that a module is no argument of it."""
    return by_jax(lambda: jax.grad(function)(model))


@claim("grad-takes-the-params", "`nnx.grad` returns gradients of the Params alone.", SEE, GUIDE)
def grad_takes_the_params() -> None:
    expect(names(grad(loss, Layer())), ["bias", "kernel"])


@claim(
    "a-filter-differentiates-a-variable",
    "With the filter `nnx.Variable`, `nnx.grad` differentiates a float Variable that is no Param.",
    SEE,
    GUIDE,
)
def a_filter_differentiates_a_variable() -> None:
    grads = grad(counted, counting(), only=nnx.Variable)
    expect(names(grads), ["bias", "count", "kernel"])
    expect(numbers(grads)["count"], 10.0)


@claim(
    "diffstate-names-argument-and-filter",
    "`nnx.DiffState(argument, filter)` in `argnums` tells `nnx.grad` which leaves of which argument to take.",
    SEE,
    GUIDE,
)
def diffstate_names_argument_and_filter() -> None:
    second = nnx.DiffState(1, nnx.PathContains("bias"))
    grads = nnx.grad(lambda one, two: loss(one) + 3.0 * jnp.sum(read(two.bias)), argnums=second)(Layer(), Layer())
    expect(numbers(grads), {"bias": [3.0, 3.0]})


@claim(
    "grad-takes-wrt",
    "`nnx.grad(loss, wrt=nnx.Param)` chooses what is differentiated.",
    "upgrading.md#flax-09",
    GUIDE,
    instead="unexpected keyword argument 'wrt'",
)
def grad_takes_wrt() -> None:
    found = []
    for kind in (nnx.Param, nnx.Variable):
        keyword: dict[str, Any] = {"wrt": kind}
        found.append(names(nnx.grad(counted, **keyword)(counting())))
    expect(found, [["bias", "kernel"], ["bias", "count", "kernel"]])


@claim(
    "grad-of-the-second-model",
    "With `argnums=1`, `nnx.grad` returns gradients of the second model's Params alone.",
    SEE,
)
def grad_of_the_second_model() -> None:
    one, two = Layer(), Layer()
    grads = numbers(grad(lambda one, two: jnp.sum(read(one.bias) + 3.0 * read(two.bias)), one, two, argument=1))
    expect(sorted(grads), ["bias", "kernel"])
    expect(grads["bias"], [3.0, 3.0])


@claim(
    "grad-of-two-models-is-a-pair",
    "With `argnums=(0, 1)`, `nnx.grad` returns a pair of gradients, one for each model.",
    SEE,
)
def grad_of_two_models_is_a_pair() -> None:
    pair = nnx.grad(lambda one, two: loss(one) + loss(two), argnums=(0, 1))(Layer(), Layer())
    expect(type(pair).__name__, "tuple")
    expect([names(grads) for grads in pair], [["bias", "kernel"], ["bias", "kernel"]])


@claim("grad-returns-a-state", "What `nnx.grad` returns is an `nnx.State`.", SEE, GUIDE)
def grad_returns_a_state() -> None:
    grads = grad(loss, Layer())
    if not isinstance(grads, nnx.State):
        differs(f"it is a {type(grads).__name__}")


@claim(
    "gradient-has-the-type-of-its-variable",
    "The gradient of a Param is itself held by an `nnx.Param`.",
    SEE,
)
def gradient_has_the_type_of_its_variable() -> None:
    expect(sorted({type(leaf).__name__ for leaf in leaves(grad(loss, Layer())).values()}), ["Param"])


@claim(
    "value-and-grad-returns-both",
    "`nnx.value_and_grad` returns the loss first, and then what `nnx.grad` returns.",
    SEE,
    GUIDE,
)
def value_and_grad_returns_both() -> None:
    value, grads = nnx.value_and_grad(loss)(Layer())
    if not jnp.isclose(value, loss(Layer())):
        differs("the first is not the loss")
    expect(numbers(grads), numbers(grad(loss, Layer())))


@claim("jax-grad-takes-every-leaf", "`jax.grad` of a module returns gradients of every leaf.", RUN)
def jax_grad_takes_every_leaf() -> None:
    grads = jax_grad(counted, counting())
    expect(names(nnx.state(grads)), ["bias", "count", "kernel"])
    expect(float(read(grads.count)), 10.0)


@claim("jax-grad-returns-a-module", "`jax.grad` of a module returns the gradients as a module of the same class.", RUN)
def jax_grad_returns_a_module() -> None:
    expect(type(jax_grad(loss, Layer())).__name__, "Layer")


@claim(
    "jax-grad-of-split-params",
    "`jax.grad` of a function of the Params that `nnx.split` took out returns the gradients of `nnx.grad`.",
    "lessons/split-merge.md",
    GUIDE,
)
def jax_grad_of_split_params() -> None:
    graph, params, rest = split(counting())
    grads = jax.grad(lambda params: counted(nnx.merge(graph, params, rest)))(params)
    expect(numbers(grads), numbers(grad(counted, counting())))


@claim(
    "optimizer-takes-the-module-of-jax-grad",
    "`optimizer.update` takes the module of gradients that `jax.grad` returns.",
    RUN,
    instead="Mismatch custom node data",
)
def optimizer_takes_the_module_of_jax_grad() -> None:
    model = counting()
    trained = optimizer(model, optax.sgd(0.1))
    grads = jax_grad(counted, model)
    update(trained, model, grads)
    expect(float(read(model.count)), 5.0)
    if not jnp.allclose(read(model.bias), -0.1 * read(grads.bias)):
        differs("the bias has not moved by the rate times its gradient")


@claim(
    "variable-written-in-the-loss-under-jax-grad",
    "What a loss writes into a Variable comes back from `jax.grad` of a module.",
    "lessons/transforms.md",
)
def variable_written_in_the_loss_under_jax_grad() -> None:
    seen: list[Any] = []

    def writing(model: Any) -> Any:
        seen.append(read(model.count))
        add(model.count, 1.0)
        seen.append(read(model.count))
        return loss(model)

    model = counting()
    jax_grad(writing, model)
    expect((seen[0] is seen[1], float(read(model.count))), (False, 6.0))


@claim(
    "graph-mode-is-the-default",
    "NNX is in graph mode unless it is told otherwise: `nnx.set_graph_mode.current_value()` is True.",
    "lessons/transforms.md",
)
def graph_mode_is_the_default() -> None:
    expect(nnx.set_graph_mode.current_value(), True)  # type: ignore[no-untyped-call]


@claim(
    "grad-in-tree-mode-takes-every-leaf",
    "In tree mode, `nnx.set_graph_mode(False)`, `nnx.grad` returns gradients of every leaf, whatever its type.",
    "lessons/training.md#see",
)
def grad_in_tree_mode_takes_every_leaf() -> None:
    with tree_mode("set_graph_mode"):
        grads = nnx.grad(counted)(counting())
    expect(names(nnx.state(grads)), ["bias", "count", "kernel"])
    expect(float(read(grads.count)), 10.0)
