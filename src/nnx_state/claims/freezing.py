"""Freezing: what keeps a Param as it is while training changes the rest."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import Layer, grad, leaves, loss, moved, names, numbers, optimizer, read, step, update
from nnx_state.claims.registry import claim, differs, expect, raises

LESSON = "lessons/freezing.md"
TYPE = "reference/freezing.md#freeze-by-type"
ISSUE = "an issue of Flax"
ADAMW = optax.adamw(0.1, weight_decay=0.1)


class Frozen(nnx.Variable):  # type: ignore[type-arg]
    """What is no Param, and so is not trained."""


def train(model: Any, transformation: Any, wrt: Any, function: Any = loss, times: int = 1) -> list[str]:
    """Train a model with one filter for the gradient and for the optimizer, and return the leaves that moved."""
    before = {path: jnp.array(read(leaf)) for path, leaf in leaves(model).items()}
    trained = optimizer(model, transformation, wrt=wrt)
    for _ in range(times):
        update(trained, model, grad(function, model, only=wrt))
    return moved(before, model)


def detached(model: Any) -> Any:
    """Return a loss through which no gradient of the kernel comes."""
    return jnp.sum((jnp.ones((3, 4)) @ jax.lax.stop_gradient(read(model.kernel)) + read(model.bias) - 1.0) ** 2)


@claim(
    "a-bias-that-is-a-variable-stays-zero",
    "A model whose bias is a Variable trains without an error and lowers its loss, while the bias stays zero.",
    "lessons/multi-param.md#a-bias-that-is-a-variable",
)
def a_bias_that_is_a_variable_stays_zero() -> None:
    model = Layer(bias=nnx.Variable)
    before = float(loss(model))
    step(model, optax.sgd(0.01), times=5)
    expect(read(model.bias).tolist(), [0.0, 0.0])
    if float(loss(model)) >= before:
        differs("the loss does not fall")


@claim(
    "a-filter-freezes-by-path",
    "One filter for the gradient and for the optimizer, such as all Params without the bias, freezes the bias.",
    f"{LESSON}#run",
    ISSUE,
)
def a_filter_freezes_by_path() -> None:
    wrt = nnx.All(nnx.Param, nnx.Not(nnx.PathContains("bias")))
    expect(names(grad(loss, Layer(), only=wrt)), ["kernel"])
    expect(train(Layer(), ADAMW, wrt), ["kernel"])


@claim(
    "stop-gradient-gives-zero",
    "`jax.lax.stop_gradient` on a Param makes its gradient zero, and does not take it out of the gradients.",
    f"{LESSON}#predict",
)
def stop_gradient_gives_zero() -> None:
    expect(numbers(grad(detached, Layer())).get("kernel", "none"), [[0.0, 0.0]] * 4)


@claim(
    "stop-gradient-freezes",
    "`jax.lax.stop_gradient` on a Param freezes it, also where the optimizer has a weight decay.",
    f"{LESSON}#predict",
)
def stop_gradient_freezes() -> None:
    model = Layer()
    before = jnp.array(read(model.kernel))
    moved_leaves = train(model, ADAMW, nnx.Param, detached)
    if "kernel" in moved_leaves:
        differs(f"the kernel is {float((read(model.kernel) / before).mean()):.2f} of what it was")
    expect(moved_leaves, ["bias"])


@claim(
    "adam-goes-on-without-a-gradient",
    "Adam moves a Param whose gradient has become zero, by what it remembers of earlier gradients.",
    f"{LESSON}#a-gradient-of-zero-moves-a-param",
)
def adam_goes_on_without_a_gradient() -> None:
    model = Layer()
    trained = optimizer(model, optax.adam(0.1))
    update(trained, model, grad(loss, model))
    before = {path: jnp.array(read(leaf)) for path, leaf in leaves(model).items()}
    grads = grad(detached, model)
    expect(bool(jnp.any(read(leaves(grads)["kernel"]))), False)
    update(trained, model, grads)
    if "kernel" not in moved(before, model):
        differs("it stays")


@claim(
    "metadata-freezes",
    "The metadata `trainable=False` of a Param keeps the optimizer from changing it.",
    "coming-from/pytorch.md#no-flag-freezes-a-param",
)
def metadata_freezes() -> None:
    model = Layer(bias=lambda value: nnx.Param(value, trainable=False))
    if "bias" in (found := train(model, optax.sgd(0.1), nnx.Param)):
        differs("it moves")
    expect(found, ["kernel"])


@claim(
    "set-to-zero-freezes",
    "A group of `optax.set_to_zero` in an optimizer of all Params freezes that group.",
    f"{LESSON}#see",
    instead="tuple indices must be integers or slices, not ellipsis",
)
def set_to_zero_freezes() -> None:
    def label(path: Any, leaf: Any) -> str:
        return "frozen" if "bias" in jax.tree_util.keystr(path) else "trained"

    groups = {"frozen": optax.set_to_zero(), "trained": ADAMW}
    tx = optax.multi_transform(groups, lambda params: jax.tree_util.tree_map_with_path(label, params))
    expect(train(Layer(), tx, nnx.Param), ["kernel"])


@claim(
    "masked-freezes",
    "`optax.masked` in an optimizer of all Params freezes what its mask leaves out.",
    f"{LESSON}#see",
    instead="object is not subscriptable",
)
def masked_freezes() -> None:
    def trained(path: Any, leaf: Any) -> bool:
        return "bias" not in jax.tree_util.keystr(path)

    tx = optax.masked(optax.sgd(0.1), lambda params: jax.tree_util.tree_map_with_path(trained, params))
    model = Layer()
    gradient = read(grad(loss, model)["bias"])
    if "bias" in (found := train(model, tx, nnx.Param)):
        differs(f"it moves, by {float((read(model.bias) / gradient).mean()):.1f} times its gradient")
    expect(found, ["kernel"])


@claim(
    "wrt-alone-freezes",
    "A filter in `wrt` freezes what it leaves out, although the gradient is one of all Params.",
    f"{LESSON}#see",
    instead="Mismatch custom node data",
)
def wrt_alone_freezes() -> None:
    model = Layer()
    trained = optimizer(model, ADAMW, wrt=nnx.PathContains("kernel"))
    before = {path: jnp.array(read(leaf)) for path, leaf in leaves(model).items()}
    update(trained, model, grad(loss, model))
    expect(moved(before, model), ["kernel"])


@claim(
    "an-own-type-freezes",
    "A Param that is replaced by a Variable of an own type is frozen for an optimizer that is made afterwards.",
    TYPE,
)
def an_own_type_freezes() -> None:
    model = Layer()
    model.bias = Frozen(jnp.ones(2))
    expect(train(model, ADAMW, nnx.Param), ["kernel"])


@claim(
    "an-older-optimizer-no-longer-fits",
    "An optimizer that was made before one of its Params was replaced by another type raises at its next step.",
    "reference/freezing.md#an-older-optimizer-no-longer-fits",
)
def an_older_optimizer_no_longer_fits() -> None:
    model = Layer()
    trained = optimizer(model, ADAMW)
    before = {path: jnp.array(read(leaf)) for path, leaf in leaves(model).items()}
    update(trained, model, grad(loss, model))
    expect(moved(before, model), ["bias", "kernel"])
    model.bias = Frozen(read(model.bias))
    fewer = ("different numbers of pytree children", "Mismatch custom node data")
    raises(lambda: update(trained, model, grad(loss, model)), ValueError, fewer)


@claim(
    "another-name-is-still-trained",
    "A Param that has two names, and is replaced under one of them, is still trained under the other.",
    "reference/freezing.md#another-name-is-still-trained",
)
def another_name_is_still_trained() -> None:
    model: Any = Layer()
    model.other = model.kernel
    model.kernel = Frozen(read(model.kernel))
    expect(train(model, ADAMW, nnx.Param), ["bias", "other"])


@claim(
    "a-frozen-layer-still-writes",
    "BatchNorm whose Params are frozen by a filter still writes its mean and variance in training.",
    "reference/freezing.md#a-frozen-layer-still-writes",
)
def a_frozen_layer_still_writes() -> None:
    model = nnx.Sequential(nnx.BatchNorm(4, rngs=nnx.Rngs(0)), nnx.Linear(4, 2, rngs=nnx.Rngs(0)))
    wrt = nnx.All(nnx.Param, nnx.PathContains(1))
    seen = train(model, ADAMW, wrt, lambda model: jnp.sum((model(jnp.eye(4)) - 1.0) ** 2))
    expect(seen, ["layers.0.mean", "layers.0.var", "layers.1.bias", "layers.1.kernel"])
