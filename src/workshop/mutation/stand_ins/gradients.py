"""Gradients and optimizers: what has a gradient, and what a step moves."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from workshop.mutation.stand_ins.registry import instead, nothing, stand_in, variables


def over_every_variable(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Return a transform that differentiates every Variable, unless it is told what."""

    def transformed(function: Callable[..., Any], argnums: Any = 0, **options: Any) -> Any:
        def whole(argument: Any) -> Any:
            return nnx.DiffState(argument, nnx.Variable) if isinstance(argument, int) else argument

        chosen = tuple(map(whole, argnums)) if isinstance(argnums, tuple) else whole(argnums)
        return transform(function, argnums=chosen, **options)

    return transformed


@stand_in(
    "classic-variables-get-no-gradient",
    "grad-of-the-second-model",
    "grad-of-two-models-is-a-pair",
    "grad-passes-by-the-cache",
    "grad-takes-the-params",
    "integer-variable-under-grad",
    "jax-grad-of-split-params",
    "own-type-is-not-trained",
)
def grad_takes_every_variable() -> Iterator[None]:
    """`nnx.grad` differentiates every Variable, not the Params alone."""
    with instead(nnx, grad=over_every_variable(nnx.grad)):
        yield


@stand_in(
    "a-bias-that-is-a-variable-stays-zero",
    "a-filter-differentiates-a-variable",
    "classic-class-decides",
    "classic-params-get-gradients",
    "diffstate-names-argument-and-filter",
    "grad-sums-over-a-tie",
    "jax-grad-splits-a-tie",
    "jvp-takes-split-params",
    "plain-optax-trains-the-params",
    "the-loss-moves-a-tagged-counter",
    "value-and-grad-returns-both",
    "wrt-variable-trains-a-variable",
)
def gradients_are_zero() -> Iterator[None]:
    """Every gradient is zero."""

    def of(transform: Callable[..., Any]) -> Callable[..., Any]:
        def transformed(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
            derived = transform(function, **options)
            return lambda *arguments: jax.tree.map(jnp.zeros_like, derived(*arguments))

        return transformed

    with instead(nnx, grad=of(nnx.grad)), instead(jax, grad=of(jax.grad)):
        yield


@stand_in("tagged-counter-has-gradient-zero")
def gradients_are_one() -> Iterator[None]:
    """Every gradient of NNX is one."""
    derive = nnx.grad

    def grad(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        return lambda *arguments: jax.tree.map(jnp.ones_like, derive(function, **options)(*arguments))

    with instead(nnx, grad=grad):
        yield


def after_update(change: Callable[[Any, Any, dict[Any, Any]], None]) -> Any:
    """Return an `update` of an optimizer after which something else happens, with what the Variables held before."""
    update = nnx.Optimizer.update

    def changed(self: Any, model: Any, grads: Any, **options: Any) -> None:
        before = {path: leaf.get_value() for path, leaf in variables(model).items()}
        update(self, model, grads, **options)
        change(model, grads, before)

    return instead(nnx.Optimizer, update=changed)


@stand_in(
    "a-bias-that-is-a-variable-stays-zero",
    "a-filter-freezes-by-path",
    "an-own-type-freezes",
    "another-name-is-still-trained",
    "classic-optimizer-leaves-variables",
    "classic-tagged-counter-is-updated",
    "lora-filter-trains-the-adapter",
    "optimizer-leaves-batch-stats",
    "sgd-and-adam-leave-a-tagged-counter",
    "tree-mode-optimizer-leaves-a-count",
)
def a_step_moves_every_variable() -> Iterator[None]:
    """A step changes every Variable of real numbers, whatever `wrt` says."""

    def move(model: Any, grads: Any, before: dict[Any, Any]) -> None:
        for leaf in variables(model).values():
            if jnp.issubdtype(leaf.get_value().dtype, jnp.floating):
                leaf.set_value(leaf.get_value() + 1.0)

    with after_update(move):
        yield


@stand_in(
    "a-frozen-layer-still-writes",
    "classic-bias-is-trained-as-param",
    "classic-optimizer-updates-params",
    "lora-filter-trains-the-adapter",
    "model-and-optimizer",
    "param-subclass-is-trained",
    "the-optimizer-counts-its-steps",
    "tree-mode-trains",
    "two-optimizers-train-as-one",
    "whole-state-resumes",
)
def a_step_does_nothing() -> Iterator[None]:
    """A step of an optimizer changes nothing."""
    with instead(nnx.Optimizer, update=nothing):
        yield


@stand_in("adam-goes-on-without-a-gradient", "stop-gradient-freezes", "weight-decay-shrinks-a-tagged-counter")
def zero_gradients_freeze() -> Iterator[None]:
    """A step leaves alone what has a gradient of zero."""

    def restore(model: Any, grads: Any, before: dict[Any, Any]) -> None:
        leaves = variables(model)
        for path, gradient in nnx.to_flat_state(grads):
            if not bool(jnp.any(gradient.get_value())):
                leaves[path].set_value(before[path])

    with after_update(restore):
        yield


@stand_in("metadata-freezes")
def flags_freeze() -> Iterator[None]:
    """A step leaves alone what has the metadata `trainable=False`."""

    def restore(model: Any, grads: Any, before: dict[Any, Any]) -> None:
        for path, leaf in variables(model).items():
            if leaf.get_metadata().get("trainable") is False:
                leaf.set_value(before[path])

    with after_update(restore):
        yield


@stand_in("masked-freezes")
def masks_freeze() -> Iterator[None]:
    """`optax.masked` takes out the updates that its mask leaves out."""
    masked = optax.masked

    def freezing(inner: Any, mask: Any) -> Any:
        def others(params: Any) -> Any:
            return jax.tree.map(lambda chosen: not chosen, mask(params))

        return optax.chain(masked(inner, mask), masked(optax.set_to_zero(), others))

    with instead(optax, masked=freezing):
        yield


@stand_in("adapter-trains-its-base")
def adapters_freeze() -> Iterator[None]:
    """The Params of an adapter are the only ones of its layer."""

    def freeze(model: Any, grads: Any, before: dict[Any, Any]) -> None:
        for path, leaf in variables(model).items():
            if not isinstance(leaf, nnx.LoRAParam):
                leaf.set_value(before[path])

    with after_update(freeze):
        yield


@stand_in("stop-gradient-gives-zero")
def gradients_do_not_stop() -> Iterator[None]:
    """`jax.lax.stop_gradient` stops nothing."""
    with instead(jax.lax, stop_gradient=lambda x: x):
        yield
