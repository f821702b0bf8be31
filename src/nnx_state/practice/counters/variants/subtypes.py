import jax.numpy as jnp
from flax import nnx


class Buffer(nnx.Variable): ...


class Scratch(nnx.Variable): ...


class Calls(Buffer): ...


class Centered(nnx.Module):
    def __init__(self, features):
        self.calls = Calls(jnp.array(0))
        self.mean = Buffer(jnp.zeros(features))
        self.last = Scratch(jnp.zeros(features))

    @nnx.jit
    def __call__(self, x):
        self.calls[...] += 1
        self.last[...] = x
        self.mean[...] += (x - self.mean) / self.calls
        return x - self.mean


def to_save(model):
    return nnx.filter_state(nnx.state(model), nnx.Not(Scratch))
