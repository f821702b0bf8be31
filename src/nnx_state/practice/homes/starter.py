import jax.numpy as jnp
from flax import nnx

# Define Stat here.


class Gate(nnx.Module):
    def __init__(self, features):
        raise NotImplementedError

    def __call__(self, x):
        raise NotImplementedError
