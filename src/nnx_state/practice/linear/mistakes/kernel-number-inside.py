import jax
import jax.numpy as jnp
from flax import nnx


class Linear(nnx.Module):
    def __init__(self, in_features, out_features, rngs):
        self.kernel = nnx.Param(0.5)

    def __call__(self, x):
        return x.sum() * self.kernel.get_value()


def linear_forward(seed, x, features):
    rngs = nnx.Rngs(int(seed))
    layer = Linear(x.shape[-1], int(features), rngs=rngs)
    return layer(x)
