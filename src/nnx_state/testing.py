"""Where two states differ: what a test of a module with state asks for."""

from typing import Any

from flax import nnx

from nnx_state._bits import bits
from nnx_state._paths import leaves

__all__ = ["differences"]


def differences(
    one: nnx.Pytree | nnx.State[Any, Any],
    other: nnx.Pytree | nnx.State[Any, Any],
    only: nnx.filterlib.Filter = ...,
) -> dict[str, str]:
    """Return where two models differ, leaf by leaf, and in what.

    Types are compared, then shapes, dtypes and numbers; the first that differs is told.
    Numbers are equal if their bits are: a NaN equals itself, and a random key another one with the same numbers inside.
    What is static, such as a rate of dropout, is not looked at: `nnx.graphdef` has it.

    Args:
        one: A module, an optimizer or a State.
        other: What it is compared with.
        only: The filter of the leaves to compare; by default all.

    Returns:
        A phrase by path, such as `{"count": "type: Param, Variable"}`; empty if the two have the same state.

    Raises:
        TypeError: If one of them is traced.
        ValueError: If a filter matches no leaf of either.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import differences

    one = nnx.Dict(w=nnx.Param(jnp.ones(2)), count=nnx.Param(jnp.zeros(())))
    other = nnx.Dict(w=nnx.Param(jnp.ones(2)), count=nnx.Variable(jnp.zeros(())))
    print(differences(one, other))
    ```

    ```{.text .output}
    {'count': 'type: Param, Variable'}
    ```
    """
    first, second = (dict(leaves(nnx.filter_state(_state(node), only))) for node in (one, other))
    if only is not ... and not first and not second:
        raise ValueError(f"only must match a leaf of one of the two, got {only!r}, which matches none: pass `...`.")
    found = {}
    for path in sorted(first | second):
        if path not in second:
            found[path] = "in the first alone"
        elif path not in first:
            found[path] = "in the second alone"
        elif phrase := _difference(first[path], second[path]):
            found[path] = phrase
    return found


def _state(node: Any) -> nnx.State[Any, Any]:
    return node if isinstance(node, nnx.State) else nnx.state(node)


def _difference(one: Any, other: Any) -> str:
    """Return in what two leaves differ, or nothing."""
    if type(one) is not type(other):
        return f"type: {type(one).__name__}, {type(other).__name__}"
    first, second = (bits(leaf, "differences") for leaf in (one, other))
    for place, name in enumerate(("shape", "dtype")):
        told = [" and ".join(str(part[place]) for part in parts) for parts in (first, second)]
        if told[0] != told[1]:
            return f"{name}: {told[0]}, {told[1]}"
    return "" if first == second else "numbers"
