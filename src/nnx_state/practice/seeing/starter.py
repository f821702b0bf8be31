import jax
import jax.numpy as jnp
from flax import nnx


def outline(model):
    raise NotImplementedError


def moved(before, model):
    raise NotImplementedError


def not_finite(state):
    raise NotImplementedError
