import jax
import jax.numpy as jnp
from flax import nnx


def snapshot(model, filter):
    return jax.tree.map(jnp.copy, nnx.state(model, filter))


def restore(model, saved):
    own = dict(nnx.to_flat_state(nnx.state(model)))
    for path, leaf in nnx.to_flat_state(saved):
        assert path in own, f"{path} is not in the model"
        assert leaf.shape == own[path].shape
    nnx.update(model, jax.tree.map(jnp.copy, saved))
