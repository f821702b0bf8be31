import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    variable[...] = value
