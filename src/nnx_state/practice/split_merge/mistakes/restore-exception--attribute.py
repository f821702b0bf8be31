import jax
import jax.numpy as jnp
from flax import nnx


def snapshot(model, filter):
    return jax.tree.map(jnp.copy, nnx.state(model, filter))


def restore(model, saved):
    for path, leaf in nnx.to_flat_state(saved):
        node = model
        for name in path:
            node = getattr(node, name)
        if node.shape != leaf.shape:
            raise ValueError(path)
    nnx.update(model, jax.tree.map(jnp.copy, saved))
