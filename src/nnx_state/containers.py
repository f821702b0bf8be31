"""A stack of layers in an `nnx.List`, and a search for state that a module holds where NNX does not look."""

import itertools

import jax
from flax import nnx

from nnx_state import _checks
from nnx_state._hidden import hidden
from nnx_state._paths import dotted

__all__ = ["MLP", "hidden_state"]


class MLP(nnx.Module):
    """A multilayer perceptron applies linear layers, with `nnx.relu` between two of them.

    `layers` is an `nnx.List` with one `nnx.Linear` for each pair of neighbours in `sizes`.
    Their Params have paths such as `layers.0.kernel`, and more layers may be appended later.

    Args:
        *sizes: The length of an input, then that of each layer's output; two or more ints from 1.
        rngs: The source of the kernels' keys, such as `nnx.Rngs(0)`.

    Raises:
        TypeError: If a size is not an int.
        ValueError: If there are fewer than two sizes, or one is not from 1 to `2**31 - 1`.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import MLP, paths

    model = MLP(4, 8, 2, rngs=nnx.Rngs(0))
    print(model(jnp.ones((3, 4))).shape)
    print(paths(model))
    ```

    ```{.text .output}
    (3, 2)
    ['layers.0.bias', 'layers.0.kernel', 'layers.1.bias', 'layers.1.kernel']
    ```
    """

    def __init__(self, *sizes: int, rngs: nnx.Rngs) -> None:
        if len(sizes) < 2:
            raise ValueError(f"sizes must be two ints or more, got {sizes}: pass for example MLP(4, 8, 2, rngs=rngs).")
        checked = [_checks.size(f"sizes[{place}]", size) for place, size in enumerate(sizes)]
        pairs = itertools.pairwise(checked)
        self.layers = nnx.List([nnx.Linear(inputs, outputs, rngs=rngs) for inputs, outputs in pairs])

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the output of the last layer.

        Args:
            x: A float array of shape `(..., sizes[0])`.

        Returns:
            An array of shape `(..., sizes[-1])`.
        """
        *inner, last = self.layers
        for layer in inner:
            x = nnx.relu(layer(x))
        return last(x)


def hidden_state(model: nnx.Pytree) -> list[str]:
    """Return the paths of the Variables and JAX arrays that a module holds outside of its state.

    A gradient, an optimizer, a filter and a checkpoint miss them, and Flax notices few of them.
    They sit in static attributes: in a list that was filled late, a set, an object that is no module, a closure.
    Or they are a default argument of a method, or an attribute of the class, which all its objects share.
    An array that leaked out of a traced function can be among them.
    What is part of the state by another path is not hidden.

    The search enters attributes, the containers of Python, closures, bound methods and `functools.partial`.

    Args:
        model: A module, an optimizer or another object of NNX; nothing of it is changed.

    Returns:
        The paths, joined by dots and sorted; an empty list if the state is whole.

    Raises:
        TypeError: If the model is no such object.

    ```python
    from flax import nnx

    from nnx_state import hidden_state

    model = nnx.Module()
    model.layers = []
    model.layers.append(nnx.Linear(4, 2, rngs=nnx.Rngs(0)))
    print(list(nnx.state(model)), hidden_state(model))
    ```

    ```{.text .output}
    [] ['layers.0.bias', 'layers.0.kernel']
    ```
    """
    if not isinstance(model, nnx.Pytree):
        given = type(model).__name__
        raise TypeError(f"model must be a module, got {given}: pass an object such as MLP(4, 2, rngs=nnx.Rngs(0)).")
    return sorted(dotted(path) for path, _ in hidden(model))
