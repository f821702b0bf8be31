import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    dtype, shape = variable.dtype, variable.shape
    if not hasattr(value, "dtype") and jnp.result_type(dtype, value) == dtype:
        value = jnp.asarray(value, dtype)
    variable.set_value(jnp.asarray(value))
    if variable.dtype != dtype:
        raise TypeError(f"value must be {dtype}, got {variable.dtype}")
    if variable.shape != shape:
        raise ValueError(f"value must be {shape}, got {variable.shape}")
