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
            return x
        kept = self.rngs.bernoulli(1 - self.rate, x.shape)
        return jnp.where(kept, x / (1 - self.rate), 0)


@nnx.jit
def call(model, x):
    return model(x)


def per_example(model, batch):
    def step(model, row):
        return model, model(row)

    scanned = nnx.scan(step, in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
    return scanned(model, batch)[1]


def save(model):
    state = nnx.state(model)
    return jax.tree.map(lambda leaf: leaf.copy(), state, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
