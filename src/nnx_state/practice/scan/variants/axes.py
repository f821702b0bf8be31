import jax.numpy as jnp
from flax import nnx


@nnx.scan(in_axes=(nnx.StateAxes({nnx.Param: 0, ...: nnx.Carry}), nnx.Carry), out_axes=nnx.Carry)
def scan(deep, x):
    deep.calls[...] += 1
    return jnp.tanh(deep.layers(x))


class Deep(nnx.Module):
    def __init__(self, features, depth, *, rngs):
        @nnx.split_rngs(splits=depth)
        @nnx.vmap(in_axes=0, out_axes=nnx.StateAxes({...: 0}))
        def build(rngs):
            return nnx.Linear(features, features, rngs=rngs)

        self.layers = build(rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        return scan(self, x)
