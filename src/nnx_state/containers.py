"""A stack of layers in an `nnx.List`, and a search for state that a module holds where NNX does not look."""

import functools
import itertools
import types
from collections import deque
from collections.abc import Iterable
from typing import Any

import jax
from flax import nnx

from nnx_state import _checks
from nnx_state._paths import dotted, leaves

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
        *hidden, last = self.layers
        for layer in hidden:
            x = nnx.relu(layer(x))
        return last(x)


def hidden_state(model: nnx.Pytree) -> list[str]:
    """Return the paths of the Variables and JAX arrays that a module holds outside of its state.

    A gradient, an optimizer, a filter and a checkpoint miss them, and Flax notices few of them.
    They sit in static attributes: in a list that was filled late, a set, an object that is no module, a closure.
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
    seen = {id(leaf) for _, leaf in leaves(nnx.state(model))}
    hidden = []
    to_visit: list[tuple[tuple[Any, ...], Any]] = [((), model)]
    for path, value in to_visit:  # the list grows, and keeps alive what `seen` knows by its id
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, nnx.Variable | jax.Array):
            hidden.append(dotted(path))
        else:
            to_visit += [((*path, name), part) for name, part in _parts(value)]
    return sorted(hidden)


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return what a value holds, by name."""
    match value:
        case dict():
            return value.items()
        case list() | tuple() | set() | frozenset() | deque():
            return enumerate(value)
        case functools.partial():
            return [("func", value.func), ("args", value.args), *value.keywords.items()]
        case types.MethodType():
            return [("self", value.__self__)]
        case types.FunctionType():
            names, cells = value.__code__.co_freevars, enumerate(value.__closure__ or ())
            return [(names[place], cell.cell_contents) for place, cell in cells if cell != types.CellType()]  # empty
        case type() | types.ModuleType():
            return []  # they belong to the program
    return vars(value).items() if hasattr(value, "__dict__") else []
