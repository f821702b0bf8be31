import jax.numpy as jnp
from flax import nnx


def ensemble(make, size, rngs):
    @nnx.split_rngs(splits=size)
    @nnx.vmap(in_axes=0, out_axes=nnx.StateAxes({...: 0}))
    def build(rngs):
        return make(rngs)

    return build(rngs)


def predict(models, x):
    @nnx.vmap(in_axes=(nnx.StateAxes({nnx.Param: 0, ...: 0}), None))
    def each(model, x):
        return model(x)

    y = each(models, x)
    return jnp.mean(y, axis=0), jnp.std(y, axis=0)
