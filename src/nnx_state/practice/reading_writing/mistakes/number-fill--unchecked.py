import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    current = variable[...]
    dtype = jnp.result_type(current.dtype, value)
    if hasattr(value, "dtype"):
        dtype = value.dtype
    if dtype != current.dtype:
        raise TypeError(f"value must be {current.dtype}, got {dtype}")
    variable[...] = jnp.asarray(value, current.dtype)
