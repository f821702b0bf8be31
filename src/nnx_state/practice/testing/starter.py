import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def assert_counts(make):
    raise NotImplementedError
