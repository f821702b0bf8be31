import jax
import jax.numpy as jnp
from flax import nnx


class Deep(nnx.Module):
    def __init__(self, features, depth, *, rngs):
        self.layers = nnx.vmap(lambda rngs: nnx.Linear(features, features, rngs=rngs))(rngs.fork(split=depth))
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        kernels, biases = self.layers.kernel[...], self.layers.bias[...]

        def step(index, x):
            return jnp.tanh(x @ kernels[index] + biases[index])

        self.calls.set_value(self.calls[...] + len(kernels))
        return jax.lax.fori_loop(0, len(kernels), step, x)
