"""Layers that run in turn: a stack of equal layers, whose program does not grow with their number."""

from collections.abc import Callable

import jax
from flax import nnx

from nnx_state.vmap_scan import ensemble

__all__ = ["Stack"]


class Stack(nnx.Module):
    """A stack applies equal layers one after the other, and traces the layer once, however many there are.

    `layers` is an `ensemble` of the layers: the state of each is a slice on the first axis, counters and keys included.
    A Python loop over the layers gives the same numbers up to rounding.

    Args:
        make: A function that builds one layer with the `rngs` it is given; the layer keeps shape and dtype.
        size: The number of layers, an int from 1.
        rngs: The random streams; each draws one key here.

    Raises:
        TypeError: If `size` is not an int, `rngs` is no `nnx.Rngs`, or `make` returns no module.
        ValueError: If `size` is out of range, or `make` keeps an array where NNX does not look.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import Linear, Stack, member

    model = Stack(lambda rngs: Linear(2, 2, rngs=rngs), 3, rngs=nnx.Rngs(0))
    x = y = jnp.ones(2)
    for index in range(3):
        y = member(model.layers, index)(y)
    print(model.layers.kernel.shape, jnp.allclose(model(x), y))
    ```

    ```{.text .output}
    (3, 2, 2) True
    ```
    """

    def __init__(self, make: Callable[[nnx.Rngs], nnx.Module], size: int, *, rngs: nnx.Rngs) -> None:
        self.layers = ensemble(make, size, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return what the last layer returns; what the layers write into their state is kept.

        Args:
            x: The input of the first layer, an array.

        Returns:
            An array of the shape and dtype of `x`.

        Raises:
            TypeError: If a layer returns another shape or dtype than it takes.
        """
        return _apply(self.layers, x)


@nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
def _apply(layer: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    return layer(x)
