"""What tells two leaves of a state apart, NaNs and random keys included."""

from typing import Any

import jax
import jax.numpy as jnp


def bits(leaf: Any, asker: str) -> list[tuple[tuple[int, ...], Any, bytes]]:
    """Return shape, dtype and bytes of the array in a leaf; of a random key, those of the numbers inside.

    Args:
        leaf: a Variable or an array.
        asker: the function that compares, for its message.

    Raises:
        TypeError: If the leaf is traced or abstract.
    """
    found = []
    for value in jax.tree.leaves(leaf):  # one, unless a Variable holds a tree
        if isinstance(value, jax.core.Tracer):
            raise TypeError(f"{asker} must read numbers, got a traced model: call it outside of jit.")
        if isinstance(value, jax.ShapeDtypeStruct):
            raise TypeError(f"{asker} must read numbers, got an abstract model: make it, or restore it, first.")
        array = value if hasattr(value, "dtype") else jnp.asarray(value)
        found.append((array.shape, array.dtype, jax.device_get(inside(array)).tobytes()))
    return found


def inside(array: Any) -> Any:
    """Return the numbers inside of a random key, and any other array as it is."""
    return jax.random.key_data(array) if jnp.issubdtype(array.dtype, jax.dtypes.prng_key) else array
