"""In which dtype the leaves of a state are, and what a dtype of few digits does to small steps."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from flax.nnx import filterlib

from nnx_state._paths import dotted, leaves

__all__ = ["cast", "dtypes", "rounded_away"]


def dtypes(node: nnx.Pytree | nnx.State[Any, Any]) -> dict[str, str]:
    """Return the name of the dtype of each leaf, by its path.

    Args:
        node: A module, an optimizer or a State; nothing is computed, so that abstract ones will do.

    Returns:
        A dict such as `{"bias": "float32", "count": "int32"}`; a random key has a name such as `"key<fry>"`.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, dtypes

    print(dtypes(MultiParam(4, 2, rngs=nnx.Rngs(0))))
    ```

    ```{.text .output}
    {'bias': 'float32', 'count': 'float32', 'kernel': 'float32'}
    ```
    """
    return {path: str(leaf.dtype) for path, leaf in leaves(node)}


def cast(model: nnx.Module, dtype: Any, chosen: filterlib.Filter = nnx.Param) -> list[str]:
    """Give the floating leaves that a filter matches another dtype, in place.

    Variables keep their types, their metadata and whoever shares them.
    Integers, bools and random keys are left alone, whatever the filter.
    An optimizer that was made before keeps moments of the old dtype.

    Args:
        model: The module whose leaves are cast.
        dtype: A floating dtype such as `jnp.bfloat16`.
        chosen: An NNX filter; by default the Params alone, so that averages keep their digits.

    Returns:
        The paths of the leaves that have another dtype now.

    Raises:
        TypeError: If the dtype is not a floating one.
        ValueError: If the filter matches no leaf.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import cast, dtypes

    norm = nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    print(cast(norm, jnp.bfloat16))
    print(dtypes(norm))
    ```

    ```{.text .output}
    ['bias', 'scale']
    {'bias': 'bfloat16', 'mean': 'float32', 'scale': 'bfloat16', 'var': 'float32'}
    ```
    """
    wanted = jnp.dtype(dtype)
    if not jnp.issubdtype(wanted, jnp.floating):
        raise TypeError(f"dtype must be a floating one such as jnp.bfloat16, got {wanted}: integers have no fractions.")
    matched = nnx.to_flat_state(nnx.state(model, chosen))
    if not matched:
        raise ValueError(f"the filter must match a leaf of {type(model).__name__}, {chosen!r} matches none: mend it.")
    plain = [dotted(path) for path, leaf in matched if not isinstance(leaf, nnx.Variable)]
    if plain:
        raise ValueError(
            f"every leaf that is cast must be a Variable, got a plain array at {', '.join(plain)}: "
            "wrap it, or choose a filter that leaves it out."
        )
    changed = []
    for path, leaf in matched:
        if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.dtype != wanted:
            leaf.set_value(leaf.get_value().astype(wanted))
            changed.append(dotted(path))
    return changed


def rounded_away(before: nnx.State[Any, Any], after: nnx.Module, updates: nnx.State[Any, Any]) -> dict[str, float]:
    """Tell which share of each leaf did not move although its update was not zero.

    A number of a dtype with few digits stays what it is when less than half the gap to its neighbour is added.

    Args:
        before: A copy of the Params from before the step, such as `snapshot(model, nnx.Param)`.
        after: The module after the step.
        updates: What `optimizer.update` returned: by how much each number was to move.

    Returns:
        For each leaf of the updates a number from 0 to 1, of those of its numbers whose update was not zero.

    Raises:
        ValueError: If the updates have a leaf that one of the others lacks.

    ```python
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from nnx_state import rounded_away, snapshot

    big = jnp.array([1.0, 1.0], jnp.bfloat16)
    mixed = jnp.array([1.0, 0.01, 1.0], jnp.bfloat16)
    model = nnx.Dict(big=nnx.Param(big), mixed=nnx.Param(mixed))
    optimizer = nnx.Optimizer(model, optax.sgd(0.001), wrt=nnx.Param)
    before = snapshot(model, nnx.Param)
    slopes = {"big": jnp.array([1.0, 0.0]), "mixed": jnp.array([1.0, 1.0, 0.0])}
    updates = optimizer.update(model, nnx.State(jax.tree.map(nnx.Param, slopes)))
    print(rounded_away(before, model, updates))
    ```

    ```{.text .output}
    {'big': 1.0, 'mixed': 0.5}
    ```
    """
    old, new = (dict(leaves(node)) for node in (before, after))
    shares = {}
    for path, update in leaves(updates):
        for name, known in (("before", old), ("after", new)):
            if path not in known:
                raise ValueError(
                    f"{name} must have the leaves of the updates, it lacks {path}: pass those of one step."
                )
        moves = jnp.asarray(update) != 0
        stayed = jnp.asarray(old[path]) == jnp.asarray(new[path])
        shares[path] = float((stayed & moves).sum() / jnp.maximum(moves.sum(), 1))
    return shares
