import jax.numpy as jnp
from flax import nnx


class Buffer(nnx.Variable): ...


class Scratch(nnx.Variable): ...


class Centered(nnx.Module):
    def __init__(self, features):
        self.calls = Buffer(jnp.zeros((), jnp.int32))
        self.history = []
        self.mean = Buffer(jnp.zeros(features))
        self.last = Scratch(jnp.zeros(features))

    def __call__(self, x):
        self.calls[...] += 1
        self.last[...] = x
        self.history.append(x)
        self.mean[...] = jnp.mean(jnp.stack(self.history), axis=0)
        return x - self.mean


def to_save(model):
    return nnx.state(model, nnx.Not(Scratch))
