import jax
import jax.numpy as jnp
from flax import nnx


class Adapter(nnx.Module):
    def __init__(self, base, rank, alpha, rngs):
        raise NotImplementedError

    def __call__(self, x):
        raise NotImplementedError


def fine_tune(model, tx, loss_fn, steps):
    raise NotImplementedError


def merged(adapter):
    raise NotImplementedError
