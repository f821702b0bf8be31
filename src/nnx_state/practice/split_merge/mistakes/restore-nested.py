import jax
import jax.numpy as jnp
from flax import nnx


def snapshot(model, filter):
    return jax.tree.map(jnp.copy, nnx.state(model, filter))


def restore(model, saved):
    for name, leaf in saved.items():
        if not hasattr(model, name) or getattr(model, name).shape != leaf.shape:
            raise ValueError(f"{name} does not fit")
    for name, leaf in saved.items():
        getattr(model, name)[...] = jnp.copy(leaf[...])
