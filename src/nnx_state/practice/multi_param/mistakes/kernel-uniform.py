import jax
import jax.numpy as jnp
from flax import nnx


class MultiParam(nnx.Module):
    def __init__(self, in_features, out_features, rngs):
        key = rngs.params()
        draw = jax.random.uniform(key, (in_features, out_features), minval=-(3**0.5), maxval=3**0.5)
        self.kernel = nnx.Param(draw * (1.0 / jnp.sqrt(in_features)))
        self.bias = nnx.Param(jnp.zeros((out_features,)))
        self.count = nnx.Variable(jnp.array(0.0))

    def __call__(self, x):
        return x @ self.kernel + self.bias


def multi_param_forward(seed, x, features):
    rngs = nnx.Rngs(int(seed))
    model = MultiParam(x.shape[-1], int(features), rngs=rngs)
    return model(x)
