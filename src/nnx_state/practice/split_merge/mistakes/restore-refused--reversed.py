import jax
import jax.numpy as jnp
from flax import nnx


def snapshot(model, filter):
    return jax.tree.map(jnp.copy, nnx.state(model, filter))


def restore(model, saved):
    own = dict(nnx.to_flat_state(nnx.state(model)))
    kept = dict(nnx.to_flat_state(saved))
    for path, leaf in own.items():
        if path not in kept or kept[path].shape != leaf.shape:
            raise ValueError(f"{path} does not fit")
    nnx.update(model, jax.tree.map(jnp.copy, saved))
