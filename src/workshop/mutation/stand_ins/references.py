"""References: what `ref=True` and `hijax=True` make of a Variable."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
from flax import nnx

from workshop.mutation.stand_ins.registry import instead, stand_in


@stand_in(
    "hijax-survives-jax-jit",
    "reference-holds-a-reference",
    "var-defaults-make-references",
)
def references_are_swallowed() -> Iterator[None]:
    """A Variable that is made with `hijax=True` or `ref=True` is as any other."""
    make = nnx.Variable.__init__

    def plain(self: Any, value: Any, *, hijax: Any = None, ref: Any = None, **metadata: Any) -> None:
        make(self, value, hijax=False, ref=False, **metadata)

    with instead(nnx.Variable, __init__=plain):
        yield


@stand_in("tree-map-copies-a-reference")
def copies_read() -> Iterator[None]:
    """`jnp.copy` reads a reference, and copies the array that it refers to."""
    take = jnp.copy
    with instead(jnp, copy=lambda held: take(held[...])):
        yield


@stand_in("pure-dict-reads-a-reference")
def pure_dicts_refer() -> Iterator[None]:
    """`nnx.to_pure_dict` holds what the Variables hold, references among them."""
    with instead(nnx, to_pure_dict=lambda state: {name: leaf.get_raw_value() for name, leaf in state.items()}):
        yield
