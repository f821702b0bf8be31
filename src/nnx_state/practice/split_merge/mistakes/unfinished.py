import jax
import jax.numpy as jnp
from flax import nnx


def snapshot(model, filter):
    return jax.tree.map(jnp.copy, nnx.state(model, filter))


def restore(model, saved):
    raise NotImplementedError
