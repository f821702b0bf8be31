import jax
import jax.numpy as jnp
from flax import nnx


def snapshot(model, filter):
    return jax.tree.map(jnp.copy, nnx.state(model, filter))


def restore(model, saved):
    own = dict(nnx.to_flat_state(nnx.state(model)))
    for path, leaf in nnx.to_flat_state(saved):
        if path not in own:
            raise ValueError(f"{path} is not in the model")
        if leaf.shape != own[path].shape:
            raise ValueError(f"{path} must have shape {own[path].shape}")
    nnx.update(model, jax.tree.map(jnp.copy, saved))
    for name in list(saved):
        del saved[name]
