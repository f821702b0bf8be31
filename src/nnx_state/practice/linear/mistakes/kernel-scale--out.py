import jax
import jax.numpy as jnp
from flax import nnx


class Linear(nnx.Module):
    def __init__(self, in_features, out_features, rngs):
        key = rngs.params()
        draw = jax.random.normal(key, (in_features, out_features))
        self.kernel = nnx.Param(draw * (1.0 / jnp.sqrt(out_features)))

    def __call__(self, x):
        return x @ self.kernel


def linear_forward(seed, x, features):
    rngs = nnx.Rngs(int(seed))
    layer = Linear(x.shape[-1], int(features), rngs=rngs)
    return layer(x)
