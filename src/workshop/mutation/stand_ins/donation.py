"""Donation: whose arrays a compiled call takes, and which it leaves."""

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from workshop.mutation.stand_ins.registry import instead, stand_in, variables


@stand_in("jit-donates-nothing")
def jit_donates() -> Iterator[None]:
    """`nnx.jit` donates its first argument, unless it is told otherwise."""
    with instead(nnx, jit=functools.partial(nnx.jit, donate_argnums=0)):
        yield


@stand_in("donating-jit-writes-as-another")
def jit_donates_copies() -> Iterator[None]:
    """`nnx.jit` donates a copy of its arguments, so that nothing comes back."""
    compile_ = nnx.jit

    def jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        compiled = compile_(function, **options)
        if "donate_argnums" not in options:
            return compiled
        return lambda *arguments: compiled(*map(copy.deepcopy, arguments))

    with instead(nnx, jit=jit):
        yield


@stand_in("donated-state-empties-the-model")
def jax_donates_nothing() -> Iterator[None]:
    """`jax.jit` knows no `donate_argnums`."""
    compile_ = jax.jit

    def jit(function: Callable[..., Any], *, donate_argnums: Any = None, **options: Any) -> Any:
        return compile_(function, **options)

    with instead(jax, jit=jit):
        yield


@stand_in("graph-false-leaves-the-arrays-it-reads")
def jit_makes_new_arrays() -> Iterator[None]:
    """After a call under `nnx.jit`, each Variable holds a new array."""
    compile_ = nnx.jit

    @functools.wraps(compile_)
    def jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        compiled = compile_(function, **options)

        def call(model: Any) -> Any:
            result = compiled(model)
            for leaf in variables(model).values():
                leaf.set_value(jnp.array(leaf.get_value()))
            return result

        return call

    with instead(nnx, jit=jit):
        yield


@stand_in("cached-partial-takes-a-plain-array")
def nothing_is_cached() -> Iterator[None]:
    """`nnx.cached_partial` is `functools.partial`."""
    with instead(nnx, cached_partial=functools.partial):
        yield
