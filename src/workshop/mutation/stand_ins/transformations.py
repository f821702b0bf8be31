"""Transformations of Optax: which leaves they move, and which gradients they hand on."""

from collections.abc import Iterator
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from workshop.mutation.stand_ins.gradients import after_update
from workshop.mutation.stand_ins.registry import instead, stand_in, variables


@stand_in("a-mask-of-pure-values-fits", "a-mask-may-be-a-function", "labels-may-be-a-function")
def groups_are_ignored() -> Iterator[None]:
    """`optax.adamw` knows no mask, and `optax.partition` uses its first transformation for every leaf."""
    adamw = optax.adamw

    def unmasked(rate: float, weight_decay: float, mask: Any) -> Any:
        return adamw(rate, weight_decay=weight_decay)

    def partition(transformations: dict[str, Any], labels: Any) -> Any:
        return next(iter(transformations.values()))

    with instead(optax, adamw=unmasked, partition=partition):
        yield


@stand_in("weight-decay-moves-a-bias")
def vectors_do_not_decay() -> Iterator[None]:
    """Without a mask, the weight decay of `optax.adamw` moves the matrices alone."""
    adamw = optax.adamw

    def matrices(params: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    def sparing(rate: float, weight_decay: float, mask: Any) -> Any:
        return adamw(rate, weight_decay=weight_decay, mask=matrices if mask is None else mask)

    with instead(optax, adamw=sparing):
        yield


@stand_in("the-step-counts-micro-steps", "a-schedule-counts-gradient-steps", "the-step-counts-what-is-left-out")
def each_gradient_is_handed_on() -> Iterator[None]:
    """`optax.MultiSteps` collects no gradients, and `optax.apply_if_finite` leaves out none."""

    def inner(transformation: Any, *arguments: Any, **options: Any) -> Any:
        return transformation

    with instead(optax, MultiSteps=inner, apply_if_finite=inner):
        yield


@stand_in("moments-may-be-bfloat16")
def moments_are_float32() -> Iterator[None]:
    """`optax.adam` knows no `mu_dtype`."""
    adam = optax.adam
    with instead(optax, adam=lambda rate, mu_dtype: adam(rate)):
        yield


@stand_in("a-rate-is-no-attribute")
def rates_are_attributes() -> Iterator[None]:
    """An optimizer has a learning rate."""
    with mock.patch.object(nnx.Optimizer, "learning_rate", 0.1, create=True):
        yield


@stand_in("a-new-head-keeps-its-shape")
def steps_keep_shapes() -> Iterator[None]:
    """A step writes as many numbers into a leaf as there were."""

    def cut(model: Any, grads: Any, before: dict[Any, Any]) -> None:
        for path, leaf in variables(model).items():
            leaf.set_value(jnp.resize(leaf.get_value(), before[path].shape))

    with after_update(cut):
        yield
