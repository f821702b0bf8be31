"""The bytes that arrays take: those of models and optimizers, and those that a backward pass waits for."""

import math
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
from flax import nnx

from nnx_state._paths import leaves

__all__ = ["nbytes", "residual_bytes"]


def nbytes(*nodes: Any) -> int:
    """Count the bytes that the arrays of models, optimizers or states take together.

    Memory that two arrays share counts once, and an array that was donated takes none.
    An array on several devices counts on each of those that belong to this process.
    An abstract array, as `nnx.eval_shape` makes it, counts as the one that it stands for.

    Args:
        *nodes: Modules, States, or any pytrees of arrays.

    Returns:
        The number of bytes.

    Raises:
        TypeError: If a leaf is neither a `jax.Array` with values nor abstract.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, nbytes

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    print(nbytes(model), nbytes(nnx.state(model, nnx.Param)))
    for arrays in (False, True):
        print(nbytes(model, nnx.clone(model, arrays=arrays)))
    ```

    ```{.text .output}
    44 40
    44
    88
    ```
    """
    found = (buffer for path, leaf in leaves(nnx.state(nodes)) for buffer in _buffers(path, leaf))
    return sum(dict(found).values())


def residual_bytes(function: Callable[..., Any], model: nnx.Module, *arguments: Any) -> int:
    """Count the bytes that a forward pass computes and keeps for its backward pass, by shapes alone.

    What exists anyway does not count: the leaves of the model and the arguments.
    A compiler may keep less, because it is free to compute a value again.

    Args:
        function: What is to be differentiated for the Params of the model, such as a loss.
        model: Its first argument, which may be abstract.
        *arguments: Its other arguments, arrays or `jax.ShapeDtypeStruct`.

    Returns:
        The bytes of what is kept, on all devices together.

    Raises:
        TypeError: If an argument is no array.

    ```python
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import residual_bytes


    def build():
        return nnx.Linear(4, 8, rngs=nnx.Rngs(0))


    x = jax.ShapeDtypeStruct((100, 4), jnp.float32)
    model = nnx.eval_shape(build)
    print(residual_bytes(lambda model, x: model(x), model, x))
    print(residual_bytes(lambda model, x: jnp.sin(model(x)), model, x))
    ```

    ```{.text .output}
    0
    3200
    ```
    """
    parts: Any = nnx.split(model, nnx.Param, ...)
    graphdef, params, rest = parts
    kept: list[int] = []

    def trace(params: Any, rest: Any, arguments: Any) -> None:
        def forward(params: Any) -> Any:
            # Variables of this trace, which a count may be written to
            own, others = jax.tree.map(lambda leaf: leaf, (params, rest))
            return function(nnx.merge(graphdef, own, others), *arguments)

        _, backward = jax.vjp(forward, params)
        given = {id(leaf) for leaf in jax.tree.leaves((params, rest, arguments))}
        values = (value for value in jax.tree.leaves(backward) if id(value) not in given)
        kept.extend(math.prod(value.shape) * value.dtype.itemsize for value in values)

    jax.eval_shape(trace, params, rest, arguments)
    return sum(kept)


def _buffers(path: str, leaf: Any) -> Iterator[tuple[Hashable, int]]:
    """Yield what tells each piece of memory of a leaf from others, with its bytes."""
    for array in jax.tree.leaves(leaf):
        if isinstance(array, jax.ShapeDtypeStruct):
            yield object(), math.prod(array.shape) * array.dtype.itemsize
        elif isinstance(array, jax.core.Tracer) or not isinstance(array, jax.Array):
            given = f"a {type(array).__name__} at {path}"
            remedy = "convert it with jnp.asarray, and call nbytes outside of traced functions"
            raise TypeError(f"nbytes must read arrays of JAX with values, or abstract ones, got {given}: {remedy}.")
        elif not array.is_deleted():
            for shard in array.addressable_shards:
                yield (shard.device, shard.data.unsafe_buffer_pointer(), shard.data.nbytes), shard.data.nbytes
