import jax
import jax.numpy as jnp
from flax import nnx


class Dropout(nnx.Module):
    def __init__(self, rate, *, rngs):
        self.rate = rate
        self.deterministic = False
        self.rngs = rngs.dropout.fork()

    def __call__(self, x):
        if self.deterministic:
            return x * (1 - self.rate)
        kept = self.rngs.bernoulli(1 - self.rate, x.shape)
        return jnp.where(kept, x / (1 - self.rate), 0)


@nnx.jit
def call(model, x):
    return model(x)


def per_example(model, batch):
    axes = nnx.StateAxes({nnx.RngState: 0, ...: None})
    mapped = nnx.vmap(call, in_axes=(axes, 0))
    return nnx.split_rngs(splits=len(batch))(mapped)(model, batch)


def save(model):
    return jax.tree.map(jnp.copy, nnx.state(model))
