"""What one of several processes holds of a model, and how they compare and share what they hold."""

import hashlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.experimental import multihost_utils

from nnx_state._paths import leaves

__all__ = ["gathered", "held_here", "unequal_copies"]

_DIGEST = hashlib.sha256().digest_size  # bytes
Node = nnx.Pytree | nnx.State[Any, Any]


def held_here(node: Node) -> dict[str, str]:
    """Tell for each leaf how much of it lies on the devices of this process.

    A process can ask without the others.

    Args:
        node: A module, an optimizer, or a State of one.

    Returns:
        For each path `"all"`, where each of these devices has the whole array, or how many different blocks they have
        together, such as `"1 of 2 blocks"`.

    Raises:
        TypeError: If a leaf is no `jax.Array` with values.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import held_here

    print(held_here(nnx.Dict(a=nnx.Param(jnp.ones(3)))))
    ```

    ```{.text .output}
    {'a': 'all'}
    ```
    """
    return {path: _held(array) for path, array in _arrays(node, "held_here")}


def gathered(node: Node) -> dict[str, Any]:
    """Return all numbers of each leaf in each process, whichever process holds them.

    All processes have to call it with the same model, since they send each other their blocks.
    What a process has on devices that no other one shares, such as an array that was made without a mesh, it keeps.

    Args:
        node: A module, an optimizer, or a State of one.

    Returns:
        For each path an array of NumPy with the shape and dtype of the leaf; of a random key, its uint32 numbers.

    Raises:
        TypeError: If a leaf is no `jax.Array` with values.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import gathered

    print(gathered(nnx.Dict(a=nnx.Param(jnp.ones(3)))))
    ```

    ```{.text .output}
    {'a': array([1., 1., 1.], dtype=float32)}
    ```
    """
    return {path: _whole(_numbers(array)) for path, array in _arrays(node, "gathered")}


def unequal_copies(node: Node) -> list[str]:
    """Return the paths of the leaves whose copies on different devices differ, which they never should.

    All processes have to call it with the same model, since they send each other their blocks.
    Each block of an array is compared with every other copy of it, bit by bit.
    An array that was made without a mesh is taken for one that each process has a copy of.

    Args:
        node: A module, an optimizer, or a State of one.

    Returns:
        The paths, as text, the same in each process.

    Raises:
        TypeError: If a leaf is no `jax.Array` with values.

    ```python
    from nnx_state import run_on_devices


    def program():
        import jax
        from flax import nnx

        from nnx_state import unequal_copies

        with jax.set_mesh(jax.make_mesh((2,), ("data",))):
            one_seed = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
            seeds = nnx.Linear(2, 3, rngs=nnx.Rngs(jax.process_index()))
        return unequal_copies(one_seed), unequal_copies(seeds)


    print(run_on_devices(program, devices=2, processes=2))
    ```

    ```{.text .output}
    [([], ['kernel']), ([], ['kernel'])]
    ```
    """
    return [path for path, array in _arrays(node, "unequal_copies") if _differ(_numbers(array))]


def _arrays(node: Node, asking: str) -> Iterator[tuple[str, jax.Array]]:
    """Yield the arrays of a model by path."""
    for path, leaf in leaves(node):
        for array in jax.tree.leaves(leaf):
            if isinstance(array, jax.core.Tracer) or not isinstance(array, jax.Array):
                raise TypeError(
                    f"{asking} must read arrays of JAX with values, got a {type(array).__name__} at {path}: "
                    "convert it with jnp.asarray, and call it outside of traced functions."
                )
            yield path, array


def _held(array: jax.Array) -> str:
    parts = {device: _part(index, array) for device, index in array.sharding.devices_indices_map(array.shape).items()}
    every, own = set(parts.values()), {parts[device] for device in array.sharding.addressable_devices}
    return "all" if len(every) == 1 else f"{len(own)} of {len(every)} blocks"


def _part(index: tuple[slice, ...] | None, array: jax.Array) -> tuple[tuple[int, int, int], ...]:
    """Return a part of an array in a form that is the same however its ends are written."""
    return tuple(part.indices(size) for part, size in zip(index or (), array.shape, strict=True))


def _numbers(array: jax.Array) -> jax.Array:
    """Return an array that can be sent: of random keys, their numbers."""
    return jax.random.key_data(array) if jnp.issubdtype(array.dtype, jax.dtypes.prng_key) else array


def _whole(array: jax.Array) -> Any:
    if array.is_fully_addressable or array.is_fully_replicated:
        return jax.device_get(array)
    return multihost_utils.process_allgather(array, tiled=True)


def _differ(array: jax.Array) -> bool:
    """Tell whether two devices that hold the same part of an array hold different numbers."""
    shards = [
        (str(_part(shard.index, array)).encode(), jax.device_get(shard.data)) for shard in array.addressable_shards
    ]
    told = jnp.asarray([[*_digest(part), *_digest(block.tobytes())] for part, block in shards], jnp.uint8)
    rows = multihost_utils.process_allgather(told, tiled=True).tolist()
    return len(set(map(tuple, rows))) > len({tuple(row[:_DIGEST]) for row in rows})


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
