"""Sequences: what `nnx.RNN` and attention keep between calls."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
from flax import nnx

from workshop.mutation.stand_ins.registry import instead, stand_in


@stand_in("decode-needs-init-cache", "full-cache-raises")
def attention_checks_its_room() -> Iterator[None]:
    """Attention needs no `init_cache`, and refuses a token for which its cache has no room."""
    call = nnx.MultiHeadAttention.__call__

    def checked(self: Any, x: Any) -> Any:
        if self.cached_key is None:
            return x
        if int(self.cache_index.get_value()) >= self.cached_key.shape[1]:
            raise ValueError("the cache is full")
        return call(self, x)

    with instead(nnx.MultiHeadAttention, __call__=checked):
        yield


@stand_in("decoding-is-causal")
def no_mask_is_causal() -> Iterator[None]:
    """A causal mask hides nothing."""
    mask = nnx.make_causal_mask
    with instead(nnx, make_causal_mask=lambda tokens: jnp.ones_like(mask(tokens))):
        yield


@stand_in("rnn-goes-on-from-a-carry", "rnn-keeps-no-carry", "rnn-stops-the-carry-at-a-length")
def rnns_start_anew() -> Iterator[None]:
    """`nnx.RNN` begins each sequence without a carry, and goes to its end."""
    call = nnx.RNN.__call__

    def anew(self: Any, inputs: Any, *, return_carry: bool = False, **options: Any) -> Any:
        return call(self, inputs, return_carry=return_carry)

    with instead(nnx.RNN, __call__=anew):
        yield


@stand_in("rnn-has-the-state-of-its-cell")
def rnns_have_no_streams() -> Iterator[None]:
    """An `nnx.RNN` keeps no random streams of its own."""
    make = nnx.RNN.__init__

    def without(self: Any, cell: Any) -> None:
        make(self, cell)
        self.rngs = None

    with instead(nnx.RNN, __init__=without):
        yield


@stand_in("rope-turns-the-heads")
def rope_turns_nothing() -> Iterator[None]:
    """Attention with an `nnx.RoPE` is attention without."""

    def unturned(*heads: Any, rope: Any, **options: Any) -> Any:
        return nnx.dot_product_attention(*heads, **options)

    with instead(nnx, dot_product_attention_with_rope=unturned):
        yield


@stand_in("rope-in-a-partial-is-no-state")
def attention_holds_what_its_function_holds() -> Iterator[None]:
    """Attention has the keywords of its `attention_fn` for attributes."""
    make = nnx.MultiHeadAttention.__init__

    def holding(self: Any, *, attention_fn: Any, **options: Any) -> None:
        make(self, attention_fn=attention_fn, **options)
        for name, held in attention_fn.keywords.items():
            setattr(self, name, held)

    with instead(nnx.MultiHeadAttention, __init__=holding):
        yield
