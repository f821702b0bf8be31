import jax.numpy as jnp
from flax import nnx


class Stat(nnx.Variable): ...


class Gate(nnx.Module):
    def __init__(self, features):
        self.scale = nnx.Param(jnp.ones(features))
        self.calls = nnx.Variable(jnp.array(0))
        self.total = Stat(jnp.zeros(features))
        self.grid = nnx.data(jnp.arange(features) * 1.0)
        self.floor = nnx.data(-1.0)
        self.features = features

    def __call__(self, x):
        self.calls[...] += 1
        self.total[...] += x
        y = (x - self.grid) * self.scale[...]
        return jnp.where(y < self.floor, self.floor, y)
