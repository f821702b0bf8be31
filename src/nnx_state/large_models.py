"""A model that fits on no single device: made in blocks, and measured in bytes before it is made."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
from flax import nnx

from nnx_state._paths import dotted, leaves
from nnx_state.memory import residual_bytes as residual_bytes

__all__ = ["device_bytes", "make_in_blocks"]

Node = TypeVar("Node")


def make_in_blocks(build: Callable[[], Node], mesh: jax.sharding.Mesh) -> Node:
    """Call a function that makes a model, so that each device computes its own blocks and nothing else.

    On Explicit axes, a compiled function draws an array of random numbers whole on each device and cuts it then,
    unless the draw itself is told where its result goes. Here the axes are Auto while the numbers are drawn.
    The numbers are those that `build` draws without a mesh, but for rounding.

    Args:
        build: A function without arguments that returns a model, an optimizer, or a dict of them.
            Annotations such as `out_sharding=(None, "model")` say how its leaves are cut.
            It is traced twice, so it must draw from keys that it makes itself.
        mesh: The devices.

    Returns:
        What `build` returns. A leaf without an annotation is on all devices.

    Raises:
        TypeError: If the mesh is abstract, or `build` is no function.
        ValueError: If an annotation names an axis that the mesh lacks. Inside of `nnx.logical_axis_rules` it may
            name what these rules name. Also if `build` makes a plain array, which NNX takes for static there.

    ```python
    import jax
    from flax import nnx

    from nnx_state import ShardedLinear, make_in_blocks

    mesh = jax.make_mesh((1, 1), ("data", "model"))
    model = make_in_blocks(lambda: ShardedLinear(4, 8, rngs=nnx.Rngs(0)), mesh)
    print(model.kernel.sharding.spec)
    ```

    ```{.text .output}
    P(None, 'model')
    ```
    """
    if not callable(build):
        raise TypeError(
            f"build must be a function without arguments, got {type(build).__name__}: "
            "pass what makes the model, such as lambda: Model(rngs=nnx.Rngs(0))."
        )
    if not isinstance(mesh, jax.sharding.Mesh):
        raise TypeError(
            f"mesh must be a mesh of devices, got {type(mesh).__name__}: "
            "pass what jax.make_mesh returned, such as jax.make_mesh((2, 4), ('data', 'model'))."
        )
    graphdef, abstract = nnx.get_abstract_model(build, mesh)
    _refuse_plain_arrays(nnx.merge(graphdef, abstract))
    places = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    with jax.set_mesh(mesh):
        draw = jax.sharding.auto_axes(lambda: nnx.state(build()), out_sharding=places)
        made: Node = nnx.merge(graphdef, jax.jit(draw)())
    return made


def device_bytes(node: Any) -> int:
    """Count the bytes that one device holds of a model, or would hold of an abstract one.

    Args:
        node: A module, an optimizer, a State, or a dict of them. A leaf without a sharding counts whole.

    Returns:
        The bytes of one block of each leaf; a Variable with several names counts once.

    Raises:
        TypeError: If a leaf is no array, or is traced.

    ```python
    import jax
    from flax import nnx

    from nnx_state import device_bytes

    print(
        device_bytes(nnx.eval_shape(lambda: nnx.Linear(100, 10, rngs=nnx.Rngs(0))))
    )
    ```

    ```{.text .output}
    4040
    ```
    """
    return sum(_block_bytes(path, array) for path, leaf in leaves(node) for array in jax.tree.leaves(leaf))


def _block_bytes(path: str, array: Any) -> int:
    """Return the bytes of the block of an array that one device holds."""
    if isinstance(array, jax.core.Tracer) or not isinstance(array, (jax.Array, jax.ShapeDtypeStruct)):
        raise TypeError(
            f"device_bytes must read arrays of JAX with values, or abstract ones, got {type(array).__name__} at "
            f"{path}: convert it with jnp.asarray, and call device_bytes outside of traced functions."
        )
    shape = array.sharding.shard_shape(array.shape) if array.sharding else array.shape
    return math.prod(shape) * array.dtype.itemsize


def _refuse_plain_arrays(node: Any) -> None:
    """Raise where a module that was made under a trace keeps a value of that trace: NNX takes it for static."""
    graph: Any = nnx.iter_graph(node)
    for path, part in graph:
        if isinstance(part, nnx.Pytree):
            for name, value in vars(part).items():
                if isinstance(value, jax.core.Tracer):
                    raise ValueError(
                        f"each array must be data of its module, got a plain one at {dotted((*path, name))}, which is "
                        "static in a compiled function: write nnx.data(array), or make a Variable of it."
                    )
