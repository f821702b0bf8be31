"""Mapping: what `nnx.vmap` and `nnx.scan` make of a function."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from workshop.mutation.stand_ins.registry import instead, stand_in, variables


@stand_in("scan-is-traced-once")
def scan_traces_each_layer() -> Iterator[None]:
    """`nnx.scan` calls the function once for each of four layers."""
    scan = nnx.scan

    @functools.wraps(scan)
    def repeated(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        def four_times(*arguments: Any) -> Any:
            return [function(*arguments) for _ in range(4)][-1]

        return scan(four_times, **options)

    with instead(nnx, scan=repeated):
        yield


def changed(transform: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a transform whose functions return something else."""

    @functools.wraps(transform)
    def transformed(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        mapped = transform(function, **options)
        return lambda *arguments: jax.tree.map(change, mapped(*arguments))

    return transformed


@stand_in(
    "gradient-of-an-ensemble",
    "scan-gives-the-numbers-of-a-loop",
    "vmap-cuts-a-model-without-members",
    "vmap-gives-the-numbers-of-a-batch",
)
def mapped_functions_return_more() -> Iterator[None]:
    """What `nnx.vmap` and `nnx.scan` return is greater by one."""
    with instead(nnx, vmap=changed(nnx.vmap, lambda x: x + 1.0), scan=changed(nnx.scan, lambda x: x + 1.0)):
        yield


@stand_in("state-axes-take-the-first-match")
def mapped_functions_return_one_row() -> Iterator[None]:
    """`nnx.vmap` returns what it computes for the first member."""
    with instead(nnx, vmap=changed(nnx.vmap, lambda x: x[0])):
        yield


@stand_in("scan-needs-an-axis")
def scalars_have_an_axis() -> Iterator[None]:
    """`nnx.scan` gives a scalar of a module an axis for four layers."""
    scan = nnx.scan

    @functools.wraps(scan)
    def widening(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        mapped = scan(function, **options)

        def call(model: Any, *arguments: Any) -> Any:
            for leaf in variables(model).values():
                if leaf.ndim == 0:
                    leaf.set_value(jnp.broadcast_to(leaf.get_value(), (4,)))
            return mapped(model, *arguments)

        return call

    with instead(nnx, scan=widening):
        yield
