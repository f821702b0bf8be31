"""A layer that is divided over devices, what lies where, and a way to run all that without having the devices."""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state import _checks, _devices
from nnx_state._paths import leaves

__all__ = ["ShardedLinear", "run_on_devices", "shardings"]


class ShardedLinear(nnx.Module):
    """A linear layer whose output features are divided over the axis `model` of the mesh counts its calls.

    `kernel` is a Param of shape `(in_features, out_features)`, normal with the scale `1 / sqrt(in_features)`.
    `bias` is a Param of shape `(out_features,)`, all zero at first.
    `count` is a Variable that holds an int32 scalar; it has no annotation, so each device holds a copy.

    Args:
        in_features: The length of an input.
        out_features: The length of an output, a multiple of the size of the axis.
        rngs: The random keys; one is drawn from the stream `params`.

    Raises:
        TypeError: If a size is not an int.
        ValueError: If a size is out of range, or no mesh is set, or it has no axis `model` that divides the features.

    ```python
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import ShardedLinear

    with jax.set_mesh(jax.make_mesh((1, 1), ("data", "model"))):
        model = ShardedLinear(100, 8, rngs=nnx.Rngs(0))
        model.bias[...] += 3.0
    print(model.kernel.sharding.spec, f"{model.kernel.std():.1f}")
    print(model.bias.sharding.spec, model(jnp.zeros(100)))
    ```

    ```{.text .output}
    P(None, 'model') 0.1
    P('model',) [3. 3. 3. 3. 3. 3. 3. 3.]
    ```
    """

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs) -> None:
        shape = _checks.size("in_features", in_features), _checks.size("out_features", out_features)
        kernel = jax.random.normal(rngs.params(), shape) / shape[0] ** 0.5
        self.kernel = nnx.Param(kernel, out_sharding=(None, "model"))
        self.bias = nnx.Param(jnp.zeros(shape[1]), out_sharding=("model",))
        self.count = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Count the call and map `(..., in_features)` to `(..., out_features)`."""
        self.count[...] += 1
        y: jax.Array = x @ self.kernel + self.bias
        return y


def shardings(node: nnx.Module | nnx.State[Any, Any]) -> dict[str, str]:
    """Tell how each leaf lies on the devices now, whatever its annotation asked for.

    Args:
        node: A module, an optimizer, or a State of one.

    Returns:
        For each path a partition spec such as `"P(None, 'model')"`, or `"replicated"` where several devices hold a copy
        each, or `"one device"`, or `"host"` for what is no `jax.Array`, such as a NumPy array or a Python number.

    Raises:
        TypeError: If an array is traced or abstract.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import shardings

    print(shardings(nnx.Dict(a=nnx.Param(jnp.ones(3)), b=nnx.Variable(3.0))))
    ```

    ```{.text .output}
    {'a': 'one device', 'b': 'host'}
    ```
    """
    return {
        path: _place(path, leaf.get_value() if isinstance(leaf, nnx.Variable) else leaf) for path, leaf in leaves(node)
    }


def _place(path: str, array: Any) -> str:
    if isinstance(array, (jax.core.Tracer, jax.ShapeDtypeStruct)):
        raise TypeError(
            f"shardings must read arrays with values, got a {type(array).__name__} at {path}: "
            "call it outside of traced functions, on a model that was built."
        )
    if not isinstance(array, jax.Array):
        return "host"
    if len(array.sharding.device_set) == 1:
        return "one device"
    return "replicated" if array.is_fully_replicated else str(getattr(array.sharding, "spec", array.sharding))


def run_on_devices(
    program: Callable[..., Any], *arguments: Any, devices: int = 8, processes: int = 1, timeout: float = 120.0
) -> list[Any]:
    """Call a function in new processes in which CPUs stand for many devices.

    Several processes share the devices out evenly and are joined by `jax.distributed` on this machine.
    What the function prints is printed here, one process after the other.

    Args:
        program: A Python function that imports what it needs: it travels without defaults and the names around it.
        *arguments: What to call it with, anything that can be pickled.
        devices: The number of devices in all.
        processes: The number of processes.
        timeout: The longest time that a process may take, in seconds.

    Returns:
        The result of each process, which must be something that can be pickled too.

    Raises:
        TypeError: If `program` is no plain function, or a number is not an int.
        ValueError: If a number is out of range, or `processes` does not divide `devices`.
        RuntimeError: If a process raised or broke off; a note holds what it wrote to its standard error.
        TimeoutError: If a process took too long; a note tells the line where it stood.

    ```python
    from nnx_state import run_on_devices


    def program(greeting):
        import jax

        print(greeting, jax.process_index())
        return jax.local_device_count(), jax.device_count()


    print(run_on_devices(program, "I am", devices=4, processes=2))
    ```

    ```{.text .output}
    I am 0
    I am 1
    [(2, 4), (2, 4)]
    ```
    """
    if not isinstance(program, FunctionType) or program.__closure__:
        raise TypeError(
            f"program must be a Python function that uses no variable of another function, got {program!r}: "
            "define and import inside of it what it needs, and pass the rest as arguments."
        )
    if _checks.size("devices", devices) % _checks.size("processes", processes):
        raise ValueError(
            f"devices must be a multiple of processes, got {devices} for {processes}: pass 8 and 2, for example."
        )
    if not timeout > 0:
        raise ValueError(f"timeout must be a number of seconds above 0, got {timeout}: pass 120, for example.")
    return _devices.run(program, arguments, devices, processes, timeout)
