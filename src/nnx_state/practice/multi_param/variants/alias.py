import jax
import jax.numpy as jnp
from flax import nnx

P = nnx.Param


class MultiParam(nnx.Module):
    def __init__(self, in_features, out_features, rngs):
        key = rngs.params()
        draw = jax.random.normal(key, (in_features, out_features))
        self.kernel = P(draw * (1.0 / jnp.sqrt(in_features)))
        self.bias = P(jnp.zeros((out_features,)))
        self.count = nnx.Variable(jnp.array(0.0))

    def __call__(self, x):
        return x @ self.kernel + self.bias


def multi_param_forward(seed, x, features):
    rngs = nnx.Rngs(int(seed))
    model = MultiParam(x.shape[-1], int(features), rngs=rngs)
    return model(x)
