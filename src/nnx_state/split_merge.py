"""Snapshots of a model's state that stay what they are, and a test for what two models share."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state._bits import inside
from nnx_state._paths import leaves
from nnx_state._specs import described, spec

__all__ = ["restore", "shared", "snapshot"]


def snapshot(model: nnx.Module, *filters: Any) -> nnx.State[Any, Any]:
    """Return a copy of a model's state that no later change of the model reaches.

    The Variables are new, of the same types, and so are the buffers that they hold.
    Training, writing into the model and donating its buffers leave the copy alone.

    Args:
        model: The module to read; it is not changed.
        *filters: What to keep, such as `nnx.Param`; a leaf stays if one of them matches it.
            Without filters everything stays, and filters that match nothing give an empty State.

    Returns:
        A State with the paths, shapes and dtypes of the model.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, snapshot

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    saved = snapshot(model, nnx.Param)
    model.bias[...] += 1
    print(list(saved), saved["bias"][...])
    ```

    ```{.text .output}
    ['bias', 'kernel'] [0. 0.]
    ```
    """
    kept = nnx.state(model, nnx.Any(*filters) if filters else ...)
    copied: nnx.State[Any, Any] = jax.tree.map(jnp.copy, kept)
    return copied


def restore(model: nnx.Module, saved: nnx.State[Any, Any]) -> None:
    """Write a snapshot back into a model, all of it or nothing.

    The model keeps its Variable objects, and leaves that are not in the snapshot keep their values.
    The values are copied: the snapshot can be restored again, also after the model's buffers were donated.
    Saved leaves may be bare arrays, as `nnx.as_pure` makes them.

    Args:
        model: The module to write into.
        saved: What `snapshot` returned for this model or one of the same structure.

    Raises:
        TypeError: If `saved` is not a State.
        ValueError: If a path of `saved` is not in the model, or a Variable type, shape or dtype differs.
            The model is unchanged then.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, restore, snapshot

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    saved = snapshot(model)
    model.count[...] += 1
    restore(model, saved)
    print(model.count[...])
    ```

    ```{.text .output}
    0.0
    ```
    """
    if not isinstance(saved, nnx.State):
        remedy = "pass the model first, then what snapshot returned"
        if isinstance(saved, dict):
            remedy = "wrap it in nnx.State(...), which takes a nested dict of arrays"
        raise TypeError(f"saved must be an nnx.State, got {type(saved).__name__}: {remedy}.")
    own = dict(leaves(model))
    misfits = []
    for path, leaf in leaves(saved):
        if path not in own:
            misfits.append(f"{path} is not in the model")
        elif not _fits(leaf, own[path]):
            misfits.append(f"{path} is {described(leaf)} in saved, {described(own[path])} in the model")
    if misfits:
        raise ValueError(
            f"saved must have the paths, types, shapes and dtypes of the model, got: {'; '.join(misfits)}. "
            "Nothing was written: build the model as it was when the snapshot was taken."
        )
    nnx.update(model, jax.tree.map(jnp.copy, saved))


def shared(
    left: nnx.Module | nnx.State[Any, Any], right: nnx.Module | nnx.State[Any, Any], *, buffers: bool = False
) -> list[str]:
    """Name the Variables of one model that a second one holds too.

    A shared Variable is one object: what one model writes, the other reads.
    A shared buffer is one piece of memory: what one model donates, the other loses.
    New Variables may still share their buffers, as those of `nnx.clone` do.

    Args:
        left: A module, or a State of one.
        right: Another.
        buffers: Whether to compare the memory of the leaves, bare arrays included, rather than the Variables.

    Returns:
        The paths in `left`, such as `"layers.0.kernel"`, in the order of the state.
        A Variable under two paths is named once, by the first.

    Raises:
        TypeError: If `buffers` is set and a leaf has no buffer, as in a traced function.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, shared

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    clone = nnx.clone(model)
    print(shared(model, clone), shared(model, clone, buffers=True))
    ```

    ```{.text .output}
    [] ['bias', 'count', 'kernel']
    ```
    """
    if buffers:
        others = {place for path, leaf in leaves(right) for place in _places(path, leaf)}
        return [path for path, leaf in leaves(left) if others & _places(path, leaf)]
    variables = {id(leaf) for _, leaf in leaves(right) if isinstance(leaf, nnx.Variable)}
    return [path for path, leaf in leaves(left) if id(leaf) in variables]


def _fits(leaf: Any, own: Any) -> bool:
    """Tell whether a saved leaf may be written over one of the model; a bare array may be written into a Variable."""
    same_type = type(leaf) is type(own) or not isinstance(leaf, nnx.Variable)
    return same_type and spec(leaf) == spec(own)


def _places(path: str, leaf: Any) -> set[tuple[jax.Device, int]]:
    """Return the device and address of each piece of memory that a leaf occupies."""
    places = set()
    for value in jax.tree.leaves(leaf):
        if not isinstance(value, jax.Array) or isinstance(value, jax.core.Tracer):
            raise TypeError(
                f"buffers can be compared of jax.Arrays with values, got {type(value).__name__} at {path}: "
                "call shared outside of traced functions."
            )
        array = inside(value)
        places |= {(shard.device, shard.data.unsafe_buffer_pointer()) for shard in array.addressable_shards}
    return places
