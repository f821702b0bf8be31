"""What a changed model keeps: a state under other names, weights of PyTorch in NNX's axes, and a load of what fits."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike

from nnx_state._paths import dotted
from nnx_state._specs import spec

__all__ = ["LeftOut", "from_torch", "load_fitting", "named_state", "renamed"]

Path = tuple[Any, ...]

# What PyTorch calls the arrays of a layer, and where the layer of NNX holds them. Other names are the same in both.
_NAMES: dict[type[nnx.Module], dict[str, str]] = {
    nnx.Linear: {"weight": "kernel"},
    nnx.Conv: {"weight": "kernel"},
    nnx.Embed: {"weight": "embedding"},
    nnx.BatchNorm: {"weight": "scale", "running_mean": "mean", "running_var": "var", "num_batches_tracked": ""},
    nnx.LayerNorm: {"weight": "scale"},
    nnx.GroupNorm: {"weight": "scale"},
    nnx.OptimizedLSTMCell: {
        "weight_ih": "dense_i.kernel",
        "weight_hh": "dense_h.kernel",
        "bias_ih": "dense_h.bias",
        "bias_hh": "dense_h.bias",
    },
}


class LeftOut(NamedTuple):
    """What a load of what fits has left out; paths are text, such as `layers.0.kernel`.

    Attributes:
        missing: The leaves of the model that the state lacks; they keep their values.
        unexpected: The leaves of the state that the model lacks.
        misfits: The leaves that differ in shape or dtype, with both; they keep their values too.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import LeftOut, MultiParam, load_fitting

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    state = nnx.State({"kernel": jnp.ones((4, 2)), "bias": jnp.ones(3)})
    assert load_fitting(model, state) == LeftOut(
        missing=["count"],
        unexpected=[],
        misfits=["bias is float32[3] instead of float32[2]"],
    )
    ```
    """

    missing: list[str]
    unexpected: list[str]
    misfits: list[str]


def named_state(arrays: Mapping[str, ArrayLike]) -> nnx.State[Any, Any]:
    """Return arrays with dotted names, as a file of safetensors or a `state_dict` of PyTorch has them, as a State.

    Args:
        arrays: An array of NumPy or JAX by its name, such as `layers.0.weight`. A part of digits is a place in a list.

    Returns:
        The same arrays, at paths such as `("layers", 0, "weight")`.

    Raises:
        TypeError: If a value is no array of NumPy or JAX.
        ValueError: If one name goes on behind another, as `a.b` behind `a`, or if a number and a name stand side by
            side, as `a.0` and `a.b`.

    ```python
    import numpy as np
    from flax import nnx

    from nnx_state import named_state

    state = named_state({"layers.0.weight": np.ones((2, 3))})
    print([path for path, _ in nnx.to_flat_state(state)])
    ```

    ```{.text .output}
    [('layers', 0, 'weight')]
    ```
    """
    for name, array in arrays.items():
        if not isinstance(array, get_args(ArrayLike)):
            raise TypeError(
                f"{name} must be an array of NumPy or JAX, got a {type(array).__name__}: "
                "convert it first, a tensor of PyTorch by tensor.numpy(force=True)."
            )
    return _nested([(_path(name), array) for name, array in arrays.items()])


def renamed(state: nnx.State[Any, Any], names: Mapping[str, str | None]) -> nnx.State[Any, Any]:
    """Return a state whose paths begin with other names.

    The leaves are those of the state that is given, not copies.

    Args:
        state: The state of a model or an optimizer, or what `named_state` returned.
        names: For each old beginning of a path the new one, such as `{"encoder": "body"}`.
            None leaves out what begins so, and the empty name is the whole state: `{"": "body"}` puts all below `body`.
            Where several are the beginning of a path, the longest counts; what none fits stays.

    Returns:
        A new State.

    Raises:
        ValueError: If no path begins with an old name, if two leaves would get one path, or if a place in a list would
            stand beside a name.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, renamed

    state = nnx.state(MultiParam(4, 2, rngs=nnx.Rngs(0)))
    state = renamed(state, {"": "head", "kernel": "head.weight", "count": None})
    print([path for path, _ in nnx.to_flat_state(state)])
    ```

    ```{.text .output}
    [('head', 'bias'), ('head', 'weight')]
    ```
    """
    new = {_path(old): None if name is None else _path(name) for old, name in names.items()}
    leaves = nnx.to_flat_state(state)
    for old in new:
        if not any(_begins(path, old) for path, _ in leaves):
            first = ", ".join(dict.fromkeys(str(path[0]) for path, _ in leaves)) or "no leaf"
            raise ValueError(
                f"a path must begin with {dotted(old)!r}, and none does: the state has {first}. Mend the spelling."
            )
    moved = []
    for path, leaf in leaves:
        # All of them begin one path, so that the greatest tuple is the longest.
        old = max((old for old in new if _begins(path, old)), default=())
        beginning = new.get(old, ())
        if beginning is not None:
            moved.append((beginning + path[len(old) :], leaf))
    return _nested(moved)


def from_torch(model: nnx.Module, state: nnx.State[Any, Any]) -> nnx.State[Any, Any]:
    """Return weights of PyTorch under the names, and with the axes, that the layers of a model have for them.

    The class of the layer decides, since a name and a shape do not: a `weight` may be that of a Linear, whose axes
    are turned, or that of an Embedding, whose axes stay. It knows `nnx.Linear`, `nnx.Conv`, `nnx.Embed`,
    `nnx.BatchNorm`, `nnx.LayerNorm`, `nnx.GroupNorm` and `nnx.OptimizedLSTMCell`.

    Args:
        model: The module that is to get the weights; its layers stand where those of PyTorch stand.
        state: The `state_dict` of PyTorch, as `named_state` returned it and `renamed` moved it.

    Returns:
        A new State for `load_fitting`. What belongs to no layer that is known is in it unchanged.
        The two biases of an LSTM are added, and the `num_batches_tracked` of a BatchNorm is left out.

    Raises:
        ValueError: If a weight whose axes are to be turned has fewer than two, or if the state has a leaf of a layer
            both as PyTorch and as NNX names it.

    ```python
    import numpy as np
    from flax import nnx

    from nnx_state import from_torch, named_state

    model = nnx.Dict(head=nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
    weights = named_state({"head.weight": np.ones((2, 3)), "head.bias": np.ones(2)})
    state = from_torch(model, weights)
    print(state["head"]["kernel"].shape, state["head"]["bias"].shape)
    ```

    ```{.text .output}
    (3, 2) (2,)
    ```
    """
    layers = dict(nnx.iter_modules(model))
    given = dict(nnx.to_flat_state(state))
    turned: dict[Path, Any] = {}
    for path, array in given.items():
        *place, name = path
        known = next((names for kind, names in _NAMES.items() if isinstance(layers.get(tuple(place)), kind)), {})
        target = known.get(str(name), name)
        if target:
            new = (*place, *_path(str(target)))
            if new != path and new in given:
                raise ValueError(
                    f"{dotted(new)} must be given once, got {dotted(path)} as well, which is the same: leave one out."
                )
            value = _outputs_last(array, path) if new[-1] == "kernel" != name else array
            turned[new] = turned[new] + value if new in turned else value
    return nnx.from_flat_state(turned)


def load_fitting(model: nnx.Pytree, state: nnx.State[Any, Any]) -> LeftOut:
    """Write into a model what a state has for it, wherever path, shape and dtype agree, and say what was left out.

    Args:
        model: The module or the optimizer to write to; what does not fit keeps its value.
        state: A state of Variables or arrays of any origin; it stays as it is.

    Returns:
        What was left out, on either side; three empty lists say that all was written.

    Raises:
        TypeError: If the state is not an `nnx.State`.
        ValueError: If nothing fits. Nothing was written then.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, load_fitting

    old = MultiParam(4, 2, rngs=nnx.Rngs(0))
    new = MultiParam(4, 3, rngs=nnx.Rngs(0))
    print(load_fitting(new, nnx.state(old)).misfits[0])
    ```

    ```{.text .output}
    bias is float32[2] instead of float32[3]
    ```
    """
    if not isinstance(state, nnx.State):
        raise TypeError(
            f"state must be an nnx.State, got a {type(state).__name__}: "
            "pass nnx.state(model), or named_state of a dict of arrays with dotted names."
        )
    own, given = (dict(nnx.to_flat_state(one)) for one in (nnx.state(model), state))
    both = own.keys() & given.keys()
    fitting = {path for path in both if spec(given[path]) == spec(own[path])}
    left_out = LeftOut(
        missing=[dotted(path) for path in own if path not in given],
        unexpected=[dotted(path) for path in given if path not in own],
        misfits=[f"{dotted(p)} is {spec(given[p])} instead of {spec(own[p])}" for p in own if p in both - fitting],
    )
    if not fitting:
        faults = "; ".join(f"{kind}: {', '.join(paths)}" for kind, paths in left_out._asdict().items() if paths)
        raise ValueError(
            f"a leaf of the state must fit the model, and none does: {faults or 'both are empty'}. "
            "Give the state the paths of the model with renamed, and its dtypes with astype."
        )
    # Copies, so that a step that donates leaves the given state whole, and no array of NumPy ends in a Variable.
    copies = {path: jax.tree.map(jnp.array, _value(given[path])) for path in fitting}
    nnx.update(model, nnx.from_flat_state(copies))
    return left_out


def _path(name: str) -> Path:
    """Return the path that a dotted name writes; a place in a list is an int in it."""
    return tuple(int(part) if part.isdecimal() else part for part in name.split(".")) if name else ()


def _begins(path: Path, beginning: Path) -> bool:
    return path[: len(beginning)] == beginning


def _nested(leaves: list[tuple[Path, Any]]) -> nnx.State[Any, Any]:
    """Return the State of these leaves, if each has a place of its own."""
    counts = Counter(path[:length] for path, _ in leaves for length in range(len(path) + 1))
    for path, _ in leaves:
        if not path or counts[path] > 1:
            raise ValueError(
                f"each leaf must get a path of its own that no other goes on behind, got {dotted(path)!r}: "
                "choose other names."
            )
    kinds = {(path[:length], type(path[length])) for path, _ in leaves for length in range(len(path))}
    for place, kind in kinds:
        if kind is int and (place, str) in kinds:
            raise ValueError(
                f"what stands side by side must be places in a list or names, got both below {dotted(place)!r}: "
                "choose other names."
            )
    return nnx.from_flat_state(leaves)


def _outputs_last(weight: Any, path: Path) -> Any:
    """Return a weight with the axes (…, in, out) of NNX instead of (out, in, …), those of PyTorch."""
    if weight.ndim < 2:
        raise ValueError(
            f"{dotted(path)} must have the axes (out, in, …), got shape {weight.shape}: "
            "pass the weight as PyTorch has it."
        )
    return weight.transpose(*range(2, weight.ndim), 1, 0)


def _value(leaf: Any) -> Any:
    return leaf.get_raw_value() if isinstance(leaf, nnx.Variable) else leaf
