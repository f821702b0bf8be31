"""Decode state: attention with a cache of keys and values, and what happens to any Cache between two tokens."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state import _checks
from nnx_state._paths import leaves

__all__ = ["CachedAttention", "reorder_cache", "reset_cache"]


class CachedAttention(nnx.Module):
    """Causal self-attention reads a whole sequence at once, or a few tokens at a time with a cache.

    Each head computes `softmax(query @ key.T / sqrt(depth)) @ value`, and a token sees no later one:
    Vaswani et al. 2017, *Attention Is All You Need*, sections 3.2.1 to 3.2.3.
    As there, the four projections have no bias.

    `init_cache` makes three Caches, and `nnx.pop(layer, nnx.Cache)` takes them out again.
    `cached_key` and `cached_value` hold floats of shape `(batch, length, heads, depth)`.
    `cache_index` holds an int32 scalar, the number of tokens decoded so far.

    Args:
        features: The length of the vector of a token, an int from 1.
        heads: How many heads share it, an int from 1; each has a depth of `features // heads`.
        rngs: The source of the four kernels.

    Raises:
        TypeError: If a size is not an int.
        ValueError: If a size is out of range, or `heads` does not divide `features`.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import CachedAttention

    layer = CachedAttention(features=4, heads=2, rngs=nnx.Rngs(0))
    x = jnp.linspace(-1.0, 1.0, 12).reshape(1, 3, 4)
    layer.init_cache(batch=1, length=3)
    decoded = [layer.decode(x[:, i : i + 1]) for i in range(3)]
    print(jnp.allclose(jnp.concatenate(decoded, 1), layer(x), atol=1e-5))
    ```

    ```{.text .output}
    True
    ```
    """

    cached_key: nnx.Cache[jax.Array]
    cached_value: nnx.Cache[jax.Array]
    cache_index: nnx.Cache[jax.Array]

    def __init__(self, features: int, heads: int = 1, *, rngs: nnx.Rngs) -> None:
        self.features = _checks.size("features", features)
        self.heads = _checks.size("heads", heads)
        if self.features % self.heads:
            raise ValueError(f"heads must divide features, got {heads} heads for {features} features: pass a divisor.")
        by_head = (self.heads, self.features // self.heads)
        self.to_query = nnx.LinearGeneral(features, by_head, use_bias=False, rngs=rngs)
        self.to_key = nnx.LinearGeneral(features, by_head, use_bias=False, rngs=rngs)
        self.to_value = nnx.LinearGeneral(features, by_head, use_bias=False, rngs=rngs)
        self.to_output = nnx.LinearGeneral(by_head, features, axis=(2, 3), use_bias=False, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the attention of a whole sequence, whose shape it has; the cache is neither read nor written.

        Args:
            x: The tokens, floats of shape `(batch, tokens, features)`.

        Raises:
            ValueError: If `x` has another shape.
        """
        self._check_tokens(x)
        return self._attend(self.to_query(x), self.to_key(x), self.to_value(x), jnp.arange(x.shape[1]))

    def init_cache(self, batch: int, length: int) -> None:
        """Make an empty cache in place of an older one.

        Args:
            batch: The number of sequences, an int from 1.
            length: The number of tokens that each may have, an int from 1.

        Raises:
            TypeError: If a size is not an int.
            ValueError: If a size is out of range.
        """
        shape = (_checks.size("batch", batch), _checks.size("length", length), *self.to_key.out_features)
        self.cached_key = nnx.Cache(jnp.zeros(shape))
        self.cached_value = nnx.Cache(jnp.zeros(shape))
        self.cache_index = nnx.Cache(jnp.zeros((), jnp.int32))

    def decode(self, x: jax.Array) -> jax.Array:
        """Return the attention of the next tokens to all so far, and keep their keys and values.

        Eagerly, a token that finds no room raises, and nothing is written.
        Under `nnx.jit` it gives NaN instead: the cached tokens stay, and the index counts on.
        `require_room`, called outside, raises before the first such token or after the last.

        Args:
            x: The next tokens of each sequence, floats of shape `(batch, tokens, features)`.

        Raises:
            ValueError: If there is no cache, `x` has another shape, or the cache is full.
        """
        self._check_cache()
        self._check_tokens(x, self.cached_key.shape[0])
        index, new = self.cache_index[...], x.shape[1]
        if not isinstance(index, jax.core.Tracer):
            self.require_room(new)
        positions = index + jnp.arange(new)
        # `at` drops a write past the end, where lax.dynamic_update_slice would overwrite the last tokens
        key = self.cached_key[...].at[:, positions].set(self.to_key(x))
        value = self.cached_value[...].at[:, positions].set(self.to_value(x))
        self.cached_key[...] = key
        self.cached_value[...] = value
        self.cache_index[...] = index + new
        return self._attend(self.to_query(x), key, value, positions)

    def require_room(self, tokens: int = 1) -> None:
        """Raise an error if the cache has no room for more tokens; with 0, if it was given too many.

        Args:
            tokens: How many tokens are to follow, an int from 0.

        Raises:
            TypeError: If the layer is traced, or `tokens` is not a number.
            ValueError: If there is no cache, no room, or `tokens` is no whole number from 0.
        """
        self._check_cache()
        more = _checks.whole_number("tokens", tokens, 0, _checks.LARGEST_SIZE)
        index, length = self.cache_index[...], self.cached_key.shape[1]
        if isinstance(index, jax.core.Tracer):
            raise TypeError("require_room must read a number, got a traced cache_index: call it outside of jit.")
        if (wanted := int(index) + more) > length:
            remedy = "call init_cache with a larger length, or reset_cache to start anew"
            raise ValueError(f"the cache must hold {wanted} tokens, got one of length {length}: {remedy}.")

    def _check_cache(self) -> None:
        if not hasattr(self, "cache_index"):
            raise ValueError("the layer must have a cache, got none: call init_cache(batch, length) first.")

    def _check_tokens(self, x: jax.Array, batch: int | None = None) -> None:
        if x.ndim != 3 or x.shape[2] != self.features or batch not in (None, x.shape[0]):
            accepted = f"x must have shape ({batch or 'batch'}, tokens, {self.features})"
            raise ValueError(f"{accepted}, got {x.shape}: pass one vector for each token of each sequence.")

    def _attend(self, query: jax.Array, key: jax.Array, value: jax.Array, positions: jax.Array) -> jax.Array:
        """Let each query see the keys up to its own position; one past the last key gives NaN."""
        length, depth = key.shape[1], key.shape[3]
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / math.sqrt(depth)
        seen = jnp.arange(length)[None, :] <= positions[:, None]
        weights = jax.nn.softmax(jnp.where(seen[None, None], scores, -jnp.inf))
        y = self.to_output(jnp.einsum("bhqk,bkhd->bqhd", weights, value))
        return jnp.where((positions < length)[None, :, None], y, jnp.nan)


def reset_cache(model: nnx.Module) -> None:
    """Write zeros into every Cache of a model, which empties it in place.

    The numbers go too, not the index alone: a forgotten NaN with a weight of zero still gives NaN.

    Args:
        model: A module with a cache whose empty state is zero, as that of `nnx.MultiHeadAttention` is.

    Raises:
        ValueError: If the model has no Cache.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import CachedAttention, reset_cache

    layer = CachedAttention(features=4, rngs=nnx.Rngs(0))
    layer.init_cache(batch=1, length=3)
    layer.decode(jnp.ones((1, 2, 4)))
    reset_cache(layer)
    print(layer.cache_index[...], jnp.any(layer.cached_key[...]))
    ```

    ```{.text .output}
    0 False
    ```
    """
    for cache in _caches(model):
        cache.set_value(jax.tree.map(jnp.zeros_like, cache.get_value()))


def reorder_cache(model: nnx.Module, indices: Sequence[int] | jax.Array) -> None:
    """Let sequence `i` of every Cache go on from sequence `indices[i]`, as a beam search does.

    The first axis of each array is the batch; a scalar such as `cache_index` stays.
    A traced index that is out of range gives NaN.

    Args:
        model: A module with a cache.
        indices: A sequence for each place of the new batch, which may be larger or smaller; ints from 0.

    Raises:
        ValueError: If the model has no Cache, or the indices are not one or more ints in a row and in range.
            Nothing is written then.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import CachedAttention, reorder_cache

    layer = CachedAttention(features=4, rngs=nnx.Rngs(0))
    layer.init_cache(batch=2, length=3)
    reorder_cache(layer, [1, 1, 0])
    print(layer.cached_key.shape, layer.cache_index[...])
    ```

    ```{.text .output}
    (3, 3, 1, 4) 0
    ```
    """
    caches = _caches(model)
    order = jnp.asarray(indices)
    if not jnp.issubdtype(order.dtype, jnp.integer) or order.ndim != 1 or not order.size:
        given = f"{order.dtype}{list(order.shape)}"
        raise ValueError(f"indices must be one or more ints in a row, got {given}: pass a list such as [1, 1].")
    if not isinstance(indices, jax.core.Tracer):
        first, last = min(indices), max(indices)
        for array in jax.tree.leaves(caches):
            if array.ndim and not 0 <= first <= last < len(array):
                accepted = f"indices must be from 0 to {len(array) - 1} for a batch of {len(array)}"
                raise ValueError(f"{accepted}, got {first} to {last}: pass a list such as [0, 0].")
    for cache in caches:
        cache.set_value(jax.tree.map(lambda array: _take(array, order), cache.get_value()))


def _take(array: jax.Array, order: jax.Array) -> jax.Array:
    """Return the rows of an array in another order; a row that is not there is NaN, and a scalar has no rows."""
    return array.at[order].get(mode="fill", wrap_negative_indices=False) if array.ndim else array


def _caches(model: nnx.Module) -> list[nnx.Cache[Any]]:
    """Return the Caches themselves: a State holds the Variables of the model."""
    caches = [leaf for _, leaf in leaves(nnx.state(model, nnx.Cache))]
    if not caches:
        raise ValueError(f"model must have a Cache, got a {type(model).__name__} with none: call init_cache first.")
    return caches
