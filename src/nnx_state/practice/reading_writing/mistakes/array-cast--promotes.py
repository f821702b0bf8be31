import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    current = variable[...]
    dtype = jnp.result_type(current.dtype, value)
    if dtype != current.dtype:
        raise TypeError(f"value must be {current.dtype}, got {dtype}")
    if jnp.shape(value) != current.shape:
        raise ValueError(f"value must be {current.shape}, got {jnp.shape(value)}")
    variable[...] = value
