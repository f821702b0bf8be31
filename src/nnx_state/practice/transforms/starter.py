import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state import MultiParam


def unchanged(before, model):
    raise NotImplementedError


class TraceCounter:
    def __init__(self, function):
        raise NotImplementedError

    def __call__(self, *args, **kwargs):
        raise NotImplementedError


def train_twice(jit):
    raise NotImplementedError
