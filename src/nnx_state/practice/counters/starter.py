import jax.numpy as jnp
from flax import nnx

# Define Buffer and Scratch here.


class Centered(nnx.Module):
    def __init__(self, features):
        raise NotImplementedError

    def __call__(self, x):
        raise NotImplementedError


def to_save(model):
    raise NotImplementedError
