import jax
import jax.numpy as jnp
from flax import linen, nnx


class Linear(linen.Module):
    features: int

    @linen.compact
    def __call__(self, x):
        return linen.Dense(self.features, use_bias=False)(x)


def linear_forward(seed, x, features):
    layer = Linear(int(features))
    variables = layer.init(jax.random.key(int(seed)), x)
    return layer.apply(variables, x)
