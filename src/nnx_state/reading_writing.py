"""Two guards for the values of Variables: a write that keeps the dtype, and a check that no Variable was replaced."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike

from nnx_state._paths import leaves

__all__ = ["assign", "replaced_variables", "variable_types"]


def assign(variable: nnx.Variable[jax.Array], value: ArrayLike | nnx.Variable[jax.Array]) -> None:
    """Write a value into a Variable in place and refuse a change of its dtype or shape.

    `variable[...] = value` casts and broadcasts; `variable.set_value(value)` takes any dtype and any shape.
    This function does neither, so that a counter stays an integer and a bias keeps its length.
    It also runs under `jax.jit` and `nnx.jit`, where the check happens once, at the trace.

    Args:
        variable: The Variable to write to; it holds an array.
        value: An array, or a Variable that holds one, of the Variable's shape and dtype.
            A Python number is taken by a Variable of shape `()` if the dtype has room for its kind:
            an int goes into float32 and is rounded to it, a float does not go into int32.

    Raises:
        TypeError: If `variable` holds no array, or the dtype of `value` is another one.
        ValueError: If the shape of `value` is another one.
        OverflowError: If an int is out of the range of an integer dtype.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import assign

    count = nnx.Variable(jnp.array(0, jnp.int32))
    assign(count, 3)
    print(count[...], count.dtype)
    ```

    ```{.text .output}
    3 int32
    ```
    """
    accepted = "variable must be an nnx.Variable that holds a JAX array"
    if not isinstance(variable, nnx.Variable):
        raise TypeError(f"{accepted}, got {type(variable).__name__}: pass model.count, not model.count[...].")
    current = variable.get_value()
    if not isinstance(current, jax.Array):
        raise TypeError(f"{accepted}, got one that holds {type(current).__name__}: build it from jnp.array(0).")
    if isinstance(value, nnx.Variable):
        value = value.get_value()
    shape: tuple[int, ...] = ()
    if isinstance(value, (bool, int, float, complex)):
        with jax.numpy_dtype_promotion("standard"):  # a Python number adapts, within its kind
            dtype = jnp.result_type(current.dtype, value)
    elif hasattr(value, "dtype"):
        dtype, shape = value.dtype, value.shape
    else:
        raise TypeError(f"value must be an array or a number, got {type(value).__name__}: convert it with jnp.asarray.")
    if dtype != current.dtype:
        raise TypeError(
            f"value must fit the dtype {current.dtype} of the Variable, got {dtype}: "
            "convert it with .astype, or change the dtype on purpose with set_value."
        )
    if shape != current.shape:
        raise ValueError(
            f"value must have the shape {current.shape} of the Variable, got {shape}: "
            "fill it with jnp.full_like, or change the shape on purpose with set_value."
        )
    variable[...] = jnp.asarray(value, current.dtype)  # a number and a weak type take the dtype for good


def variable_types(model: nnx.Module) -> dict[str, type[nnx.Variable[object]]]:
    """Return the class of each Variable of a module, by its path.

    Attributes that are not Variables are left out.
    As in `nnx.state`, a Variable that several attributes share has one path, the first.

    Args:
        model: The module.

    Returns:
        The classes, such as `{"kernel": nnx.Param}`; the parts of a path are joined by dots.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, variable_types

    types = variable_types(MultiParam(4, 2, rngs=nnx.Rngs(0)))
    print({path: kind.__name__ for path, kind in types.items()})
    ```

    ```{.text .output}
    {'bias': 'Param', 'count': 'Variable', 'kernel': 'Param'}
    ```
    """
    return {path: type(leaf) for path, leaf in leaves(model) if isinstance(leaf, nnx.Variable)}


def replaced_variables(model: nnx.Module, types: dict[str, type[nnx.Variable[object]]]) -> dict[str, str]:
    """Return what became of each Variable that is no longer of its recorded class.

    `self.bias = self.bias - 0.1` puts an array in the place of a Variable, and nothing raises.
    Record the classes once, and call this after a step, or in a test.
    The class is compared, not the object: another Param in the place of a Param is no replacement.

    Args:
        model: The module as it is now.
        types: What [`variable_types`][nnx_state.variable_types] returned for it earlier.

    Returns:
        A phrase for each path that changed, such as `{"bias": "Param, now no Variable"}`; empty when all is well.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, replaced_variables, variable_types

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    types = variable_types(model)
    model.count = model.count + 1
    print(replaced_variables(model, types))
    ```

    ```{.text .output}
    {'count': 'Variable, now no Variable'}
    ```
    """
    now = variable_types(model)
    return {
        path: f"{kind.__name__}, now {now[path].__name__ if path in now else 'no Variable'}"
        for path, kind in types.items()
        if now.get(path) is not kind
    }
