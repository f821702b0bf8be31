"""Models whose state has one more axis in front: an ensemble of models, and a member of it."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state import _checks
from nnx_state._paths import leaves
from nnx_state._specs import spec
from nnx_state.containers import hidden_state

__all__ = ["ensemble", "member"]

M = TypeVar("M", bound=nnx.Module)


def ensemble(make: Callable[[nnx.Rngs], M], size: int, *, rngs: nnx.Rngs) -> M:
    """Make several models of equal structure and different numbers as one module.

    Every leaf of its state has one axis more, the first, of length `size`: Params, counters, keys and all else.
    Call it under `nnx.vmap`, with `in_axes=0` for the module.

    Member `i` is what `make(nnx.Rngs(keys[i]))` builds, where `keys = jax.random.split(rngs(), size)`.
    If `rngs` has several streams, each is split in this way.

    Args:
        make: A function that builds one model with the `rngs` it is given.
        size: The number of models, an int from 1.
        rngs: The random streams; each draws one key here.

    Returns:
        A module of the class that `make` returns.

    Raises:
        TypeError: If `size` is not an int, `rngs` is no `nnx.Rngs`, or `make` returns no module.
        ValueError: If `size` is out of range, or `make` keeps an array where NNX does not look.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import Linear, ensemble

    models = ensemble(lambda rngs: Linear(4, 2, rngs=rngs), 3, rngs=nnx.Rngs(0))
    apply = nnx.vmap(lambda model, x: model(x), in_axes=(0, None))
    print(models.kernel.shape, apply(models, jnp.ones(4)).shape)
    ```

    ```{.text .output}
    (3, 4, 2) (3, 2)
    ```
    """
    size = _checks.size("size", size)
    if not isinstance(rngs, nnx.Rngs):
        raise TypeError(f"rngs must be an nnx.Rngs, got {type(rngs).__name__}: pass nnx.Rngs(0).")

    @nnx.split_rngs(splits=size)
    @nnx.vmap
    def make_each(rngs: nnx.Rngs) -> M:
        return make(rngs)  # of make itself, vmap would want to slice the defaults too

    models = make_each(rngs)
    if not isinstance(models, nnx.Module):
        raise TypeError(f"make must return a module, got {type(models).__name__}: return one such as nnx.Linear.")
    if hidden := hidden_state(models):
        raise ValueError(
            f"make must keep its arrays in the state, got {type(models).__name__} with {', '.join(hidden)} outside: "
            "wrap them in an nnx.Variable, or set them with nnx.data."
        )
    return models


def member(models: M, index: int) -> M:
    """Return one model of an ensemble, or one layer of a stack, as a model of its own.

    Its arrays are copies: what one of the two writes, the other does not see.

    Args:
        models: A module whose leaves have one first axis of one length, as `ensemble` makes it.
        index: Which one, a whole number; -1 is the last.

    Returns:
        A module of the same class; its leaves lack the first axis.

    Raises:
        TypeError: If `index` is not a whole number that is known now, not traced.
        ValueError: If `index` is out of range, or the leaves have no such axis.

    ```python
    from flax import nnx

    from nnx_state import Linear, ensemble, member

    models = ensemble(lambda rngs: Linear(4, 2, rngs=rngs), 3, rngs=nnx.Rngs(0))
    last = member(models, -1)
    print(last.kernel.shape, (last.kernel == models.kernel[2]).all())
    ```

    ```{.text .output}
    (4, 2) True
    ```
    """
    graphdef, state = nnx.split(models)
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(state)}
    if len(lengths) != 1 or lengths == {()}:
        found = ", ".join(f"{path} {spec(leaf)}" for path, leaf in leaves(state)) or "no leaf"
        raise ValueError(
            f"every leaf of models must have the members on its first axis, got {found}: build it with ensemble."
        )
    ((size,),) = lengths
    place = _checks.whole_number("index", index, -size, size - 1)  # JAX would take the nearest one in silence
    return nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[place], state))
