"""The first half of a training step: the loss, and its gradients for the leaves that one filter chooses."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from flax.nnx import filterlib

__all__ = ["loss_and_grads"]


def loss_and_grads(
    model: nnx.Module, loss_fn: Callable[..., jax.Array], *batch: Any, wrt: filterlib.Filter = nnx.Param
) -> tuple[jax.Array, nnx.State[Any, Any]]:
    """Return the loss and its gradients for exactly the leaves of a model that match a filter.

    The model keeps its numbers, but for what `loss_fn` itself writes into it, such as a counter.
    It is a function of graph mode, since it uses `nnx.DiffState`.

    Args:
        model: The module to differentiate with respect to.
        loss_fn: A function of the model and the batch that returns a real scalar.
        *batch: The arrays that follow the model in the call of `loss_fn`.
        wrt: The filter of the leaves that get a gradient, such as that of an optimizer.

    Returns:
        The loss, a scalar of the dtype that `loss_fn` returns, and a State that has the path, the shape and the dtype
        of each leaf that matches.

    Raises:
        TypeError: If a leaf that matches holds whole numbers, which have no gradient.
        ValueError: If the filter matches nothing in the model.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import MultiParam, loss_and_grads


    def loss_fn(model, x):
        return jnp.mean((model(x) - 1.0) ** 2)


    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    for wrt in (nnx.Param, nnx.PathContains("bias")):
        loss, grads = loss_and_grads(model, loss_fn, jnp.ones(4), wrt=wrt)
        print(f"{loss:.2f}", *grads)
    ```

    ```{.text .output}
    2.99 bias kernel
    2.99 bias
    ```
    """
    matching(model, wrt)  # raises where nothing would get a gradient
    of_the_model = nnx.DiffState(0, wrt)
    loss: jax.Array
    loss, grads = nnx.value_and_grad(loss_fn, argnums=of_the_model)(model, *batch)
    return loss, grads


def matching(model: nnx.Module, wrt: filterlib.Filter) -> list[tuple[tuple[Any, ...], Any]]:
    """Return the path and the Variable of each leaf that matches.

    Raises:
        ValueError: If none does.
    """
    leaves = list(nnx.to_flat_state(nnx.state(model, wrt)))
    if not leaves:
        raise ValueError(
            f"wrt must match a leaf of {type(model).__name__}, {wrt!r} matches none: "
            "mend the filter; nnx.Param matches all Params."
        )
    return leaves
