import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    current = variable[...]
    if not jnp.can_cast(getattr(value, "dtype", jnp.result_type(current.dtype, value)), current.dtype):
        raise TypeError("the dtype does not fit")
    if jnp.shape(value) != current.shape:
        raise ValueError("the shape does not fit")
    variable[...] = value
