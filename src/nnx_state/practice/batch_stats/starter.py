import jax.numpy as jnp
from flax import nnx


class Norm(nnx.Module):
    def __init__(self, features, momentum):
        raise NotImplementedError

    def __call__(self, x):
        raise NotImplementedError

    def set_view(self, use_running_average=None):
        raise NotImplementedError


def evaluate(model, x):
    raise NotImplementedError
