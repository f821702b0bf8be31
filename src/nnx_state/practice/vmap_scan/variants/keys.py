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
