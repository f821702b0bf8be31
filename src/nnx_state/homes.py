"""Where a value lives in a module, and what each operation of NNX and JAX then does to it."""

from collections.abc import Callable
from numbers import Number
from tempfile import TemporaryDirectory
from typing import Any, get_args

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.typing import ArrayLike

from nnx_state._paths import dotted
from nnx_state.transforms import TraceCounter

__all__ = ["fates", "kinds"]


def kinds(model: nnx.Module) -> dict[str, str]:
    """Return the home of every value in a module, by its path.

    A Variable is named by its class, such as `"Param"`.
    `"array"` is a leaf without a type of Variable: an array, or a number in `nnx.data`.
    `"static"` is what is no leaf of `nnx.state(model)`: a number, a string, a function, a tuple of these.
    As in `nnx.state`, a Variable that several attributes share has one path, the first.

    Args:
        model: The module to read; it is not changed.

    Returns:
        The leaves in the order of the state, then the rest; the parts of a path are joined by dots.

    Raises:
        TypeError: If `model` is not a module.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import kinds

    layer = nnx.Dict(factor=nnx.Param(jnp.ones(2)), size=2)
    model = nnx.Dict(grid=jnp.zeros(2), layers=nnx.List([layer]))
    print(kinds(model))
    ```

    ```{.text .output}
    {'grid': 'array', 'layers.0.factor': 'Param', 'layers.0.size': 'static'}
    ```
    """
    if not isinstance(model, nnx.Module):
        raise TypeError(f"model must be an nnx.Module, got {type(model).__name__}: pass the module that has the value.")
    state = nnx.to_flat_state(nnx.state(model))
    homes = {path: type(leaf).__name__ if isinstance(leaf, nnx.Variable) else "array" for path, leaf in state}
    parents = {path[:length] for path in homes for length in range(len(path))}
    nodes = dict(nnx.iter_graph(model))
    for path, node in nodes.items():
        if path not in homes and path not in parents and _is_attribute(path, node, nodes[path[:-1]]):
            homes[path] = "static"
    return {dotted(path): home for path, home in homes.items()}


def _is_attribute(path: tuple[Any, ...], node: Any, parent: Any) -> bool:
    """Leave out modules, the items of a static tuple, and what NNX itself stores in a module."""
    own = ("_pytree__nodes", "_pytree__state", *(["_length"] if isinstance(parent, nnx.List) else []))
    return isinstance(parent, nnx.Pytree) and not isinstance(node, nnx.Pytree) and path[-1] not in own


def fates(value: Any) -> dict[str, str]:
    """Tell what each operation of NNX and JAX does to a value that is an attribute of a module.

    Each answer comes from a run on a small model that holds a copy of the value.
    Ones and zeros take the place of its numbers, so that the answers depend on its home and its dtype alone.
    Ask about a Variable in graph mode, the default of Flax 0.12: tree mode refuses one of the runs.

    - `state`: is it a leaf of `nnx.state`?
    - `split`: its group in `nnx.split(model, nnx.Param, nnx.Variable, ...)`, one of Param, Variable, rest and graph.
    - `eval_shape`: what `nnx.eval_shape` makes of it in a model that exists, shape or value.
    - `Orbax`: does a checkpoint of `nnx.state` bring it back?
    - `nnx.grad`, `jax.grad`: does it get a gradient by default?
    - `AdamW`: does one step with weight decay and `wrt=nnx.Param` change it?
    - `nnx.jit`, `jax.jit`: does it keep what a compiled function writes into it?
    - `retrace`: does `nnx.jit` trace again when it changes?

    Args:
        value: What you would assign to an attribute: a Variable of any class, an array, `nnx.data(...)`, a number
            or a string. It is copied, not changed.

    Returns:
        A word for each operation, in the order above; questions are answered by yes, no, or raises for a TypeError.

    Raises:
        TypeError: If the value holds anything but one array that is not empty, one number or one string.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import fates

    fate = fates(nnx.BatchStat(jnp.zeros(3)))
    print(fate["split"], fate["Orbax"], fate["nnx.grad"], fate["jax.jit"])
    ```

    ```{.text .output}
    Variable yes no no
    ```
    """
    home = nnx.Dict(home=value).home  # without the mark of nnx.data
    if not _is_one_content(jax.tree.leaves(home)):
        raise TypeError(
            f"value must hold one array that is not empty, one number or one string, got {type(home).__name__}: "
            "ask about the attributes of a module one by one."
        )

    def fresh() -> nnx.Dict[Any]:
        model = nnx.clone(nnx.Dict(home=value))
        _write(model, 1)
        return model

    return {
        "state": _answer(lambda: "home" in nnx.state(fresh())),
        "split": _group(fresh()),
        "eval_shape": _abstract(fresh()),
        "Orbax": _answer(lambda: _is_restored(fresh(), fresh())),
        "nnx.grad": _answer(lambda: "home" in nnx.state(nnx.grad(_loss)(fresh()))),
        "jax.grad": _answer(lambda: "home" in nnx.state(jax.grad(_loss)(fresh()))),
        "AdamW": _answer(lambda: _is_trained(fresh())),
        "nnx.jit": _answer(lambda: _is_written(nnx.jit, fresh())),
        "retrace": _answer(lambda: _retraces(fresh())),
        "jax.jit": _answer(lambda: _is_written(jax.jit, fresh())),
    }


def _is_one_content(contents: list[Any]) -> bool:
    """Tell whether ones and zeros can take the place of what a value holds."""
    known = (*get_args(ArrayLike), str)
    return [isinstance(content, known) and all(getattr(content, "shape", ())) for content in contents] == [True]


def _like(content: Any, number: int) -> Any:
    """Return a number in the form of a content: an array is filled with it, a string spells it."""
    kind: Callable[[int], Any] = type(content)
    return kind(number) if isinstance(content, (Number, str)) else jnp.full_like(content, number)


def _write(model: nnx.Dict[Any], number: int) -> None:
    """Write a number into the Variable, or over a value that is none."""
    written = jax.tree.map(lambda content: _like(content, number), model.home)
    if isinstance(model.home, nnx.Variable):
        model.home.set_value(written.get_value())
    else:
        model.home = written


def _holds(model: nnx.Dict[Any], number: int) -> bool:
    (content,) = jax.tree.leaves(model.home)
    return bool(jnp.asarray(content == _like(content, number)).all())


def _answer(question: Callable[[], bool]) -> str:
    try:
        return "yes" if question() else "no"
    except TypeError:  # such as that no integer has a gradient
        return "raises"


def _group(model: nnx.Dict[Any]) -> str:
    _, *groups = nnx.split(model, nnx.Param, nnx.Variable, ...)
    found = [*("home" in group for group in groups), True]  # what is in no group is in the graph
    return ("Param", "Variable", "rest", "graph")[found.index(True)]


def _abstract(model: nnx.Dict[Any]) -> str:
    (content,) = jax.tree.leaves(nnx.eval_shape(lambda model: model, model).home)
    return "shape" if isinstance(content, jax.ShapeDtypeStruct) else "value"


def _is_restored(saved: nnx.Dict[Any], resumed: nnx.Dict[Any]) -> bool:
    import orbax.checkpoint as ocp  # it takes half as long to import as all of NNX, and nothing else here needs it

    _write(resumed, 0)
    with TemporaryDirectory() as folder, ocp.StandardCheckpointer() as orbax:
        # Orbax refuses an empty state, so that the loss goes with it. The restore waits for the save.
        orbax.save(f"{folder}/saved", {"state": nnx.state(saved), "loss": _loss(saved)})
        restored = orbax.restore(f"{folder}/saved", {"state": nnx.state(resumed), "loss": _loss(resumed)})
    nnx.update(resumed, restored["state"])
    return _holds(resumed, 1)


def _loss(model: nnx.Dict[Any]) -> jax.Array:
    """Return the sum of all floats, so that no gradient is zero."""
    floats = [leaf for leaf in jax.tree.leaves(model) if jnp.issubdtype(jax.typeof(leaf).dtype, jnp.inexact)]
    return jnp.array([jnp.real(leaf).sum().astype(float) for leaf in floats]).sum()


def _is_trained(model: nnx.Dict[Any]) -> bool:
    optimizer = nnx.Optimizer(model, optax.adamw(0.1, weight_decay=0.1), wrt=nnx.Param)
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
        optimizer.update(model, nnx.grad(_loss)(model))
    return not _holds(model, 1)


def _is_written(jit: Callable[..., Any], model: nnx.Dict[Any]) -> bool:
    jit(lambda model: _write(model, 0))(model)
    return _holds(model, 0)


def _retraces(model: nnx.Dict[Any]) -> bool:
    counter = TraceCounter(lambda model: None)
    compiled = nnx.jit(counter)
    compiled(model)
    _write(model, 0)
    compiled(model)
    return counter.traces == 2
