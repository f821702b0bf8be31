import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    current = variable[...]
    is_number = isinstance(value, bool | int | float | complex)
    dtype = jnp.result_type(current, value) if is_number else value.dtype
    if dtype != current.dtype:
        raise TypeError(f"value must be {current.dtype}, got {dtype}")
    if jnp.shape(value) != current.shape:
        raise ValueError(f"value must be {current.shape}")
    variable[...] = jnp.full(current.shape, value, current.dtype)
