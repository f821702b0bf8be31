import jax.numpy as jnp
from flax import nnx


def ensemble(make, size, rngs):
    return nnx.split_rngs(splits=size)(nnx.vmap(make))(rngs)


def predict(models, x):
    each = nnx.vmap(lambda model, x: model(x), in_axes=(0, None))
    outputs = each(models, x)
    return outputs.mean(axis=0), outputs.std(axis=0)
