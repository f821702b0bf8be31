import jax.numpy as jnp
from flax import nnx


def assign(variable, value):
    current = variable.get_value()
    array = jnp.asarray(value)
    fits = array.dtype == current.dtype
    if not isinstance(value, jnp.ndarray):
        kinds = [bool, int, float, complex]
        room = {"b": 1, "i": 2, "u": 2, "f": 3, "c": 4}[current.dtype.kind]
        fits = type(value) in kinds[:room]
    if not fits:
        raise TypeError("another dtype")
    if array.shape != current.shape:
        raise ValueError("another shape")
    variable[...] = array.astype(current.dtype)
