import jax
import jax.numpy as jnp
from flax import nnx


def ensemble(make, size, rngs):
    return nnx.split_rngs(splits=size)(nnx.vmap(make))(rngs)


def predict(models, x):
    graphdef, state = nnx.split(models)
    size = jax.tree.leaves(state)[0].shape[0]
    members = [nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[index], state)) for index in range(size)]  # noqa: B023
    outputs = jnp.stack([member(x) for member in members])
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
