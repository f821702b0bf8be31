import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    current = variable[...]
    value = jnp.asarray(value)
    if value.dtype != current.dtype:
        raise TypeError(f"value must be {current.dtype}, got {value.dtype}")
    if value.shape != current.shape:
        raise ValueError(f"value must be {current.shape}, got {value.shape}")
    variable[...] = value
