import copy

import jax
import jax.numpy as jnp
from flax import nnx


def snapshot(model, filter):
    return nnx.state(copy.deepcopy(model), filter)


def restore(model, saved):
    own = dict(nnx.to_flat_state(nnx.state(model)))
    for path, leaf in nnx.to_flat_state(saved):
        if path not in own:
            raise ValueError(f"{path} is not in the model")
        if leaf.shape != own[path].shape:
            raise ValueError(f"{path} must have shape {own[path].shape}")
    nnx.update(model, copy.deepcopy(saved))
