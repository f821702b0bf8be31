import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    current = variable[...]
    if jnp.shape(value) != current.shape:
        raise ValueError(f"value must be {current.shape}, got {jnp.shape(value)}")
    if not hasattr(value, "dtype"):
        if jnp.result_type(current.dtype, value) != current.dtype:
            raise TypeError(f"{value!r} does not fit {current.dtype}")
        value = jnp.asarray(value, current.dtype)
    variable.set_value(value)
