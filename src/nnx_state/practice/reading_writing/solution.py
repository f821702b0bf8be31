import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    current = variable[...]
    if isinstance(value, (bool, int, float, complex)):
        dtype, shape = jnp.result_type(current.dtype, value), ()
    else:
        dtype, shape = value.dtype, value.shape
    if dtype != current.dtype:
        raise TypeError(f"value must be {current.dtype}, got {dtype}")
    if shape != current.shape:
        raise ValueError(f"value must be {current.shape}, got {shape}")
    variable[...] = jnp.asarray(value, current.dtype)
