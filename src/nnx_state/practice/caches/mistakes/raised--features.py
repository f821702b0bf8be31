import jax
import jax.numpy as jnp
from flax import nnx


class CausalMean(nnx.Module):
    def __call__(self, x):
        counts = jnp.arange(1, x.shape[2] + 1)
        return jnp.cumsum(x, axis=1) / counts[:, None]

    def init_cache(self, batch, length, features):
        self.tokens = nnx.Cache(jnp.zeros((batch, length, features)))
        self.index = nnx.Cache(jnp.zeros((), jnp.int32))

    def decode(self, x):
        index, length = self.index[...], self.tokens.shape[1]
        if not isinstance(index, jax.core.Tracer) and index >= length:
            raise ValueError(f"the cache is full: it holds {length} tokens")
        tokens = self.tokens[...].at[:, index].set(x, mode="drop")
        self.tokens[...] = tokens
        self.index[...] += 1
        mean = tokens.sum(axis=1) / self.index[...]
        return jnp.where(index < length, mean, jnp.nan)


def keep(model):
    return jax.tree.map(jnp.copy, nnx.state(model, nnx.Cache))


def reorder(model, indices):
    for _, cache in nnx.to_flat_state(nnx.state(model, nnx.Cache)):
        if cache.ndim:
            cache[...] = cache[...][indices]
