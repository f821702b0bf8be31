import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    if not hasattr(value, "dtype"):
        if jnp.result_type(variable.dtype, value) != variable.dtype:
            raise TypeError(f"{value!r} does not fit {variable.dtype}")
        value = jnp.asarray(value, variable.dtype)
    if value.dtype != variable.dtype:
        raise TypeError(f"got {value.dtype} for {variable.dtype}")
    if value.shape != variable.shape:
        raise ValueError(f"got {value.shape} for {variable.shape}")
    variable.set_value(value)
