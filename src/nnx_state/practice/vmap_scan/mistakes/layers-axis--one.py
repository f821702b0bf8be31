import jax.numpy as jnp
from flax import nnx


def ensemble(make, size, rngs):
    return nnx.split_rngs(splits=size)(nnx.vmap(make))(rngs)


def predict(models, x):
    each = nnx.vmap(lambda model, x: model(x), in_axes=(0, None))
    outputs = each(models, x)
    return outputs.mean(axis=0), outputs.std(axis=0)


class Deep(nnx.Module):
    def __init__(self, features, depth, *, rngs):
        def make(rngs):
            return nnx.Linear(features, features, rngs=rngs)

        self.layers = make(rngs)
        self.depth = depth
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        for _ in range(self.depth):
            x = jnp.tanh(self.layers(x))
            self.calls[...] += 1
        return x
