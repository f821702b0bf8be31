import jax.numpy as jnp
from flax import nnx


class HalfLinear(nnx.Module):
    def __init__(self, inputs, outputs, *, rngs):
        raise NotImplementedError

    def __call__(self, x):
        raise NotImplementedError


def cast(model, dtype):
    raise NotImplementedError
