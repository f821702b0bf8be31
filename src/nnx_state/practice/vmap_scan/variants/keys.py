import jax
import jax.numpy as jnp
from flax import nnx


def ensemble(make, size, rngs):
    keys = jax.random.split(rngs(), size)
    return nnx.vmap(lambda key: make(nnx.Rngs(key)))(keys)


def predict(models, x):
    @nnx.jit
    @nnx.vmap(in_axes=(0, None))
    def each(model, x):
        return model(x)

    outputs = each(models, x)
    mean = outputs.mean(axis=0)
    return mean, jnp.sqrt(((outputs - mean) ** 2).mean(axis=0))


class Deep(nnx.Module):
    def __init__(self, features, depth, *, rngs):
        def make(rngs):
            return nnx.Linear(features, features, rngs=rngs)

        self.layers = ensemble(make, depth, rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        graphdef, state = nnx.split(self.layers)

        def body(x, state):
            return jnp.tanh(nnx.merge(graphdef, state)(x)), None

        self.calls[...] += self.layers.kernel.shape[0]
        return jax.lax.scan(body, x, state)[0]
