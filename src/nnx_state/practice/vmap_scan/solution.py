import jax.numpy as jnp
from flax import nnx


def ensemble(make, size, rngs):
    return nnx.split_rngs(splits=size)(nnx.vmap(make))(rngs)


def predict(models, x):
    each = nnx.vmap(lambda model, x: model(x), in_axes=(0, None))
    outputs = each(models, x)
    return outputs.mean(axis=0), outputs.std(axis=0)


@nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
def scan(layer, carry):
    x, calls = carry
    calls[...] += 1
    return jnp.tanh(layer(x)), calls


class Deep(nnx.Module):
    def __init__(self, features, depth, *, rngs):
        def make(rngs):
            return nnx.Linear(features, features, rngs=rngs)

        self.layers = ensemble(make, depth, rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        return scan(self.layers, (x, self.calls))[0]
