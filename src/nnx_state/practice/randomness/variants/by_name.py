import jax
import jax.numpy as jnp
from flax import nnx


class Dropout(nnx.Module):
    def __init__(self, rate, *, rngs):
        self.rate = rate
        self.deterministic = False
        self.rngs = rngs["dropout"].fork()

    def __call__(self, x):
        if self.deterministic:
            return x
        kept = self.rngs.bernoulli(1 - self.rate, x.shape)
        return jnp.where(kept, x / (1 - self.rate), 0)


apply = nnx.jit(lambda model, x: model(x))


def call(model, x):
    return apply(model, x)


def per_example(model, batch):
    @nnx.split_rngs(splits=batch.shape[0])
    @nnx.vmap(in_axes=(nnx.StateAxes({(nnx.RngKey, nnx.RngCount): 0, ...: None}), 0))
    def each(model, row):
        return model(row)

    return each(model, batch)


def save(model):
    return nnx.as_pure(nnx.state(model))
