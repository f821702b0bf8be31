"""Layers and chance: what layers write, draw and start with."""

import copy
import itertools
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from workshop.mutation.stand_ins.registry import instead, nothing, stand_in, variables


@stand_in(
    "a-frozen-layer-still-writes",
    "batch-stats-move-in-training",
    "layer-norm-writes-nothing",
    "modes-set-attributes-alone",
    "params-are-enough",
    "remat-keeps-averages",
    "view-shares-variables",
)
def layers_have_no_modes() -> Iterator[None]:
    """BatchNorm neither writes nor reads averages, `eval()` does nothing, and a view is a copy."""

    def call(self: Any, x: Any) -> Any:
        return x

    with (
        instead(nnx.BatchNorm, __call__=call),
        instead(nnx.Module, eval=nothing),
        instead(nnx, view=lambda node, **options: copy.deepcopy(node)),
    ):
        yield


@stand_in("momentum-is-what-stays", "running-variance-is-biased")
def batch_norm_is_that_of_pytorch() -> Iterator[None]:
    """The momentum of BatchNorm is the share of the new batch, and its variance is unbiased."""

    def call(self: Any, x: Any) -> Any:
        share = self.momentum or 1.0
        for held, new in ((self.mean, x.mean(axis=0)), (self.var, x.var(axis=0, ddof=1))):
            held.set_value((1.0 - share) * held.get_value() + share * new)
        return x

    with instead(nnx.BatchNorm, __call__=call):
        yield


@stand_in("dropout-draws-in-training", "dropouts-differ", "nnx-jit-draws-new-masks", "split-rngs-gives-each-a-mask")
def dropout_has_one_mask() -> Iterator[None]:
    """Dropout keeps the same elements at every call, and draws no key."""

    def call(self: Any, x: Any) -> Any:
        return x * jax.random.bernoulli(jax.random.key(0), 0.5, x.shape)

    with instead(nnx.Dropout, __call__=call):
        yield


@stand_in("name-enters-the-key")
def names_enter_the_keys() -> Iterator[None]:
    """The name of a stream is folded into its keys."""
    draw = nnx.RngStream.__call__
    with instead(
        nnx.RngStream, __call__=lambda self: jax.random.fold_in(draw(self), zlib.crc32(self.tag.encode()) % 1000)
    ):
        yield


@stand_in("reseed-goes-by-the-name")
def reseed_knows_no_names() -> Iterator[None]:
    """`nnx.reseed` gives its seed to every stream."""
    reseed = nnx.reseed
    with instead(nnx, reseed=lambda node, **seeds: reseed(node, default=next(iter(seeds.values())))):
        yield


@stand_in(
    "a-bias-by-hand-draws-no-key",
    "a-restored-stream-repeats",
    "classic-zero-bias-changes-nothing",
    "draw-is-a-fold",
    "jax-jit-repeats-a-split-stream",
    "merged-copies-of-trees-repeat",
    "one-seed-one-kernel",
    "one-seed-one-mask",
    "params-alone-leave-the-stream",
    "rngs-makes-numbers",
    "seed-decides-the-sequence",
    "the-kernel-of-seed-0",
    "zero-bias-of-nnx-linear",
)
def no_draw_is_like_another() -> Iterator[None]:
    """Each draw of a stream is new, whatever the seed."""
    numbers, draw = itertools.count(), nnx.RngStream.__call__
    with instead(nnx.RngStream, __call__=lambda self: jax.random.fold_in(draw(self), next(numbers))):
        yield


@stand_in(
    "a-stream-is-a-key-and-a-count",
    "a-zero-bias-draws-a-key",
    "another-seed-another-kernel",
    "jax-jit-advances-a-returned-stream",
    "seed-decides-the-sequence",
    "split-rngs-make-members-differ",
    "the-next-layer-has-another-kernel",
    "undeclared-stream-is-default",
)
def every_draw_is_alike() -> Iterator[None]:
    """Every draw of every stream is one key, and is not counted."""
    with instead(nnx.RngStream, __call__=lambda self: jax.random.key(0)):
        yield


@stand_in(
    "a-bias-starts-at-zero",
    "a-kernel-by-hand-is-another",
    "nnx-linear-draws-truncated",
    "outputs-keep-their-size",
    "the-width-decides-the-kernel",
)
def layers_start_with_ones() -> Iterator[None]:
    """Every initial number is one, or that divided by the root of the inputs."""
    initialize = nnx.Linear.__init__

    def ones(self: Any, *sizes: int, **options: Any) -> None:
        initialize(self, *sizes, **options)
        for held in variables(self).values():
            size = held.shape[0] if held.ndim == 2 else 1
            held.set_value(jnp.ones_like(held.get_value()) * (1.0 / jnp.sqrt(size)))

    with instead(nnx.Linear, __init__=ones), instead(jax.random, normal=lambda key, shape=(): jnp.ones(shape)):
        yield


@stand_in(
    "spectral-norm-in-eval-writes-the-kernel",
    "spectral-norm-writes-the-kernel",
    "update-stats-spares-the-batch-stats",
    "weight-norm-forgets-a-scaling",
    "weight-norm-in-a-closure-raises",
    "weight-norm-writes-in-eval",
    "weight-norm-writes-the-kernel",
)
def norms_work_on_copies() -> Iterator[None]:
    """`nnx.WeightNorm` and `nnx.SpectralNorm` normalise a copy of their layer."""

    def of(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, *arguments, **options: call(nnx.clone(self), *arguments, **options)

    with (
        instead(nnx.WeightNorm, __call__=of(nnx.WeightNorm.__call__)),
        instead(nnx.SpectralNorm, __call__=of(nnx.SpectralNorm.__call__)),
    ):
        yield


@stand_in("averages-are-float32")
def averages_have_the_dtype_of_params() -> Iterator[None]:
    """The averages of BatchNorm have the dtype of its Params."""
    make = nnx.BatchNorm.__init__

    def alike(self: Any, features: int, **options: Any) -> None:
        make(self, features, **options)
        for held in (self.mean, self.var):
            held.set_value(held.get_value().astype(self.param_dtype))

    with instead(nnx.BatchNorm, __init__=alike):
        yield
