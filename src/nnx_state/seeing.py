"""Two looks at a model that trains: what a step has moved, and in which module the first NaN arises."""

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike

from nnx_state._bits import inside
from nnx_state._paths import dotted, leaves
from nnx_state.split_merge import shared

__all__ = ["changes", "first_not_finite"]


def changes(before: nnx.Module | nnx.State[Any, Any], after: nnx.Module | nnx.State[Any, Any]) -> dict[str, float]:
    """Tell how far each leaf has moved: the Euclidean norm of the difference, by path.

    All leaves are there, of every type; one that did not move has 0.0, and one that holds a NaN has nan,
    as has an infinity that stays.
    A random key counts by the numbers inside, so that its distance tells only whether it is another key.

    Args:
        before: A copy from before the step, such as `snapshot(model)`.
        after: The module after the step, or a later copy.

    Returns:
        The distances, in the order of the state; the parts of a path are joined by dots.

    Raises:
        TypeError: If a leaf holds no numbers, as in a traced function.
        ValueError: If the two share a Variable, or have different paths or shapes.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, changes, snapshot

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    before = snapshot(model)
    model.bias[...] += 3.0
    print({path: round(far, 2) for path, far in changes(before, model).items()})
    ```

    ```{.text .output}
    {'bias': 4.24, 'count': 0.0, 'kernel': 0.0}
    ```
    """
    if held := shared(before, after):
        raise ValueError(f"before must be a copy, got the Variable that after has at {held[0]}: take snapshot(model).")
    old, new = ({path: _numbers(path, leaf) for path, leaf in leaves(node)} for node in (before, after))
    shapes = [{path: value.shape for path, value in numbers.items()} for numbers in (old, new)]
    if other := sorted({path for path, _ in shapes[0].items() ^ shapes[1].items()}):
        differ = ", ".join(other)
        raise ValueError(f"both must have the same paths and shapes, they differ at {differ}: copy this model.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the difference of two infinities is a NaN, and so is the norm
        return {path: float((abs(new[path] - old[path]) ** 2).sum() ** 0.5) for path in new}


def first_not_finite(model: nnx.Module, /, *args: Any, **kwargs: Any) -> str | None:
    """Call a model, and name the first of its modules that returned a NaN or an infinity.

    A module returns after those that it calls, so that the innermost is named.
    A copy is called: counters, averages and random streams of the model stay as they are.
    What runs inside of a transform such as `nnx.jit` cannot be read; the module that calls the transform is named.

    Args:
        model: The module to call.
        *args: What it is called with.
        **kwargs: The same, by name.

    Returns:
        The path of the module, its parts joined by dots, `""` for the model itself; None if all outputs are finite.

    Raises:
        TypeError: If the model is no module with `__call__`, or its output is traced.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import first_not_finite

    rngs = nnx.Rngs(0)
    first, last = nnx.Linear(2, 3, rngs=rngs), nnx.Linear(3, 1, rngs=rngs)
    model = nnx.Sequential(first, jnp.log, last)
    print(first_not_finite(model, jnp.zeros(2)))
    print(first_not_finite(first, inputs=jnp.zeros(2)))
    ```

    ```{.text .output}
    layers.2
    None
    ```
    """
    if not (isinstance(model, nnx.Module) and callable(model)):
        raise TypeError(f"model must be a module that can be called, got {type(model).__name__}: pass the whole model.")
    copy = nnx.clone(model, graph=True)
    modules = list(nnx.iter_modules(copy, graph=True))
    paths = {id(module): dotted(path) for path, module in modules}
    found: list[str] = []

    def watched(call: Callable[..., Any]) -> Callable[..., Any]:
        def watching(module: nnx.Module, *args: Any, **kwargs: Any) -> Any:
            result = call(module, *args, **kwargs)
            if id(module) in paths and not _is_finite(result):
                found.append(paths[id(module)])
            return result

        return watching

    with ExitStack() as stack:  # puts the calls back, whatever is raised
        for cls in {base for _, module in modules for base in type(module).__mro__ if "__call__" in vars(base)}:
            stack.callback(setattr, cls, "__call__", vars(cls)["__call__"])
            cls.__call__ = watched(cls.__call__)  # type: ignore[method-assign]  # what the callback undoes
        result = copy(*args, **kwargs)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(result)):
        raise TypeError("the output must hold numbers, got a traced one: call first_not_finite outside of transforms.")
    return found[0] if found else None


def _numbers(path: str, leaf: Any) -> Any:
    """Return what a leaf holds as numbers that can be subtracted, whatever their dtype."""
    value = leaf.get_value() if isinstance(leaf, nnx.Variable) else leaf
    if isinstance(value, jax.core.Tracer) or not isinstance(value, get_args(ArrayLike)):
        given = type(value).__name__
        raise TypeError(f"every leaf must hold numbers, got {given} at {path}: call changes outside of transforms.")
    return jax.device_get(inside(jnp.asarray(value))).astype("complex128")


def _is_finite(output: Any) -> bool:
    """Tell whether the numbers of an output are finite, as far as they can be read."""
    values = [leaf for leaf in jax.tree.leaves(output) if isinstance(leaf, get_args(ArrayLike))]
    return all(bool(jnp.isfinite(value).all()) for value in values if not isinstance(value, jax.core.Tracer))
