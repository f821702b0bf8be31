"""Checks of arguments, kept apart so that the modules read like their lesson.

A message names the argument, what was given, what is accepted and what to do.
"""

import jax
import jax.numpy as jnp
import numpy as np

LARGEST_SEED = 2**32 - 1  # a key keeps 32 bits of its seed: 2**32 would silently repeat 0, and -1 repeat 2**32 - 1
LARGEST_SIZE = 2**31 - 1  # an axis is indexed with 32 bits; a size far beyond aborts the whole process


def size(name: str, value: object) -> int:
    """Return a layer's size if it is an integer that an axis can have."""
    accepted = f"{name} must be an int from 1 to {LARGEST_SIZE}"
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{accepted}, got {value!r} of type {type(value).__name__}: pass a number such as 4.")
    if not 1 <= value <= LARGEST_SIZE:
        raise ValueError(f"{accepted}, got {value}: pass a number such as 4.")
    return int(value)


def whole_number(name: str, value: object, lowest: int, highest: int) -> int:
    """Return a whole number, given as an int or a float, as an int."""
    accepted = f"{name} must be a whole number from {lowest} to {highest}, as an int or a float"
    if isinstance(value, jax.core.Tracer):
        raise TypeError(f"{accepted}, got a traced value: mark it static, for example with static_argnames={name!r}.")
    given = value
    if isinstance(value, (jax.Array, np.ndarray, np.generic)) and value.ndim == 0 and _is_real(value.dtype):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{accepted}, got {given!r} of type {type(given).__name__}: pass a number such as 2.0.")
    if isinstance(value, float) and not value.is_integer():  # NaN and the infinities are not integers either
        raise ValueError(f"{accepted}, got {value}: pass a number such as 2.0.")
    if not lowest <= value <= highest:
        raise ValueError(f"{accepted}, got {value}: choose one in this range.")
    return int(value)


def vector(name: str, value: object) -> jax.Array:
    """Return a non-empty 1-D array of real numbers in JAX's default float type; its values may be traced."""
    accepted = f"{name} must be a non-empty 1-D array or list of real numbers"
    try:
        # NumPy reads what is not yet in JAX: JAX would first wrap an int64 of 2**40 to the int32 zero.
        array = value if isinstance(value, jax.Array) else np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{accepted}, got a {type(value).__name__} that is not an array: convert it first.") from error
    if not _is_real(array.dtype):
        raise TypeError(f"{accepted}, got dtype {array.dtype}: convert it to float32 first.")
    if array.ndim != 1:
        raise ValueError(f"{accepted}, got shape {array.shape}: pass one example, or map over many with jax.vmap.")
    if array.size == 0:
        raise ValueError(f"{accepted}, got shape {array.shape}: pass at least one number.")
    return jnp.asarray(array, float)


def _is_real(dtype: np.dtype) -> bool:
    """Tell floats and integers from all else; NumPy counts a time difference among the integers."""
    number = jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)
    return number and not jnp.issubdtype(dtype, np.timedelta64)
