"""State that training leaves alone: two types of buffer, a counter of calls, a strict save and restore."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx

from nnx_state._paths import leaves
from nnx_state._specs import spec

__all__ = ["Buffer", "CallCounter", "Scratch", "persistent_state", "restore_persistent"]


class Buffer(nnx.Variable[Any]):
    """A Buffer is saved with the model and never trained, as PyTorch's `register_buffer` makes it.

    It starts with an array of any shape and dtype.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import Buffer

    model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    model.mean = Buffer(jnp.zeros(4))
    print(list(nnx.state(model, Buffer)), list(nnx.state(model, nnx.Param)))
    ```

    ```{.text .output}
    ['mean'] ['bias', 'kernel']
    ```
    """


class Scratch(nnx.Variable[Any]):
    """A Scratch is neither trained nor saved, as PyTorch's `register_buffer(..., persistent=False)` makes it.

    The type alone does nothing: [`persistent_state`][nnx_state.persistent_state] leaves it out.

    It starts with an array of any shape and dtype.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import Scratch, persistent_state

    model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    model.last = Scratch(jnp.zeros(4))
    print(list(nnx.state(model)), list(persistent_state(model)))
    ```

    ```{.text .output}
    ['bias', 'kernel', 'last'] ['bias', 'kernel']
    ```
    """


class CallCounter(nnx.Module):
    """A counter wraps a layer and counts its calls, eagerly and under `nnx.jit`.

    `layer` is the wrapped layer.
    `calls` is a Buffer that holds an int32 scalar, 0 at first; after `2**31 - 1` calls it wraps to `-2**31`.
    Under `jax.jit` the count is lost, since the compiled function works on a copy of the module.

    Args:
        layer: The module or function to call.

    Raises:
        TypeError: If the layer cannot be called.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import CallCounter

    model = CallCounter(nnx.Linear(4, 2, rngs=nnx.Rngs(0)))
    forward = nnx.jit(lambda model, x: model(x))
    for _ in range(3):
        y = forward(model, jnp.ones(4))
    print(model.calls[...], y.shape)
    ```

    ```{.text .output}
    3 (2,)
    ```
    """

    def __init__(self, layer: Callable[..., Any]) -> None:
        if not callable(layer):
            raise TypeError(
                f"layer must be callable, got {layer!r} of type {type(layer).__name__}: "
                "pass a module such as nnx.Linear(4, 2, rngs=nnx.Rngs(0))."
            )
        self.layer = layer
        self.calls = Buffer(jnp.zeros((), jnp.int32))  # float32 would stop at 2**24

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Count one call and return what the layer returns."""
        self.calls[...] += 1
        return self.layer(*args, **kwargs)


def persistent_state(model: nnx.Module) -> nnx.State[Any, Any]:
    """Return all state of a module but its Scratch, which is what a checkpoint holds.

    The state shares its Variables with the model, as that of `nnx.state` does.
    Save or copy it before the model changes.

    Args:
        model: The module to save; its arrays may be abstract, as those of `nnx.eval_shape` are.

    Returns:
        The state, with leaves of every type, the bare arrays included.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import CallCounter, persistent_state

    model = CallCounter(jnp.tanh)
    model(1.0)
    saved = persistent_state(model)
    print(list(saved), saved["calls"][...])
    ```

    ```{.text .output}
    ['calls'] 1
    ```
    """
    return nnx.state(model, nnx.Not(Scratch))


def restore_persistent(model: nnx.Module, state: nnx.State[Any, Any]) -> None:
    """Write a saved state into a module if both have the same leaves; PyTorch calls this strict.

    `nnx.update` alone also takes a state that lacks leaves, and one whose arrays have another shape or dtype.
    The Scratch of the module is left alone.

    Args:
        model: The module to write to, made as the saved one was.
        state: What [`persistent_state`][nnx_state.persistent_state] returned, or a checkpoint of it.

    Raises:
        TypeError: If the state is not an `nnx.State`.
        ValueError: If a leaf is missing, unexpected, or of another shape or dtype; the module is then unchanged.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import CallCounter, persistent_state, restore_persistent

    model, fresh = CallCounter(jnp.tanh), CallCounter(jnp.tanh)
    model(1.0)
    restore_persistent(fresh, persistent_state(model))
    print(fresh.calls[...])
    ```

    ```{.text .output}
    1
    ```
    """
    if not isinstance(state, nnx.State):
        raise TypeError(
            f"state must be an nnx.State, got a {type(state).__name__}: "
            "pass what persistent_state returned, or wrap a nested dict of arrays in nnx.State(...)."
        )
    wanted, given = ({path: spec(leaf) for path, leaf in leaves(node)} for node in (persistent_state(model), state))
    faults = [f"{path} is missing" for path in wanted if path not in given]
    faults += [f"{path} is unexpected" for path in given if path not in wanted]
    faults += [
        f"{path} is {given[path]} instead of {wanted[path]}"
        for path in wanted
        if path in given and given[path] != wanted[path]
    ]
    if faults:
        raise ValueError(
            f"the state must have the leaves of {type(model).__name__} without its Scratch, "
            f"got one where {', '.join(faults)}: build the model as the saved one was."
        )
    nnx.update(model, state)
