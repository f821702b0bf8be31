"""What a value of an attempt is: what holds it, the numbers inside, and both in a few words."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def home(value: Any) -> str:
    """Return what holds a value: `param`, `variable` (of any other type), `array`, `number`, `no-call` or `object`."""
    match value:
        case nnx.Param():
            return "param"
        case nnx.Variable():
            return "variable"
        case jax.Array() | np.ndarray():
            return "array"
        case bool() | int() | float() | complex() | np.generic():
            return "number"
        case type() if issubclass(value, nnx.Variable):
            return "no-call"
    return "object"


def content(value: Any) -> Any:
    """Return the array that a Variable holds, or the value itself."""
    return value.get_raw_value() if isinstance(value, nnx.Variable) else value


def is_array(value: Any) -> bool:
    """Tell whether a value is an array of JAX or of NumPy."""
    return isinstance(value, (jax.Array, np.ndarray))


def raw(leaf: Any) -> np.ndarray:
    """Return a copy of what a Variable holds, or of the leaf itself; of a random key, its numbers."""
    value = content(leaf)
    typed = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return np.array(jax.random.key_data(value) if typed else value)


def address(leaf: Any) -> int:
    """Return where in memory the numbers of a leaf are; two leaves with one address share them."""
    value = content(leaf)
    if isinstance(value, jax.Array):
        return int(value.unsafe_buffer_pointer())
    return int(value.__array_interface__["data"][0]) if isinstance(value, np.ndarray) else id(value)


def put(model: nnx.Module, name: str, value: Any) -> None:
    """Store a value in an attribute: in its Variable if it has one, else in its place."""
    kept = getattr(model, name)
    if isinstance(kept, nnx.Variable):
        kept.set_value(value)
    else:
        setattr(model, name, value)


def array_of(numbers: Any) -> jax.Array:
    """Return numbers of NumPy as an array of JAX with a buffer of its own.

    `jnp.array` compiles a program for each shape, and so does each function of JAX that is called outside of a compiled
    one: a check of a few seconds would spend most of them on that.
    """
    array: jax.Array = jax.device_put(np.asarray(numbers), may_alias=False)
    return array


def known(leaf: Any) -> jax.Array:
    """Return normal numbers of NumPy for a leaf, for each shape the same, of the scale that suits a kernel."""
    draw = np.random.default_rng(leaf.shape).normal(size=leaf.shape)
    return array_of((draw / math.sqrt(leaf.shape[0])).astype(leaf.dtype))


def numbered(make: Callable[[], Any], number: Callable[[int, Any], jax.Array]) -> Any:
    """Return the modules that a function makes, with numbers of one's own; no program is compiled for them.

    Args:
        make: the function; it is asked for shapes alone.
        number: returns what a leaf holds, from its place in the state and its shape and dtype.
    """
    nodes = nnx.eval_shape(make)
    leaves, structure = jax.tree.flatten(nnx.state(nodes))
    nnx.update(nodes, jax.tree.unflatten(structure, [number(*pair) for pair in enumerate(leaves)]))
    return nodes


def twin(node: Any) -> Any:
    """Return a copy of a module on buffers of its own; `nnx.clone` compiles a program for each shape that it copies."""
    graphdef, state = nnx.split(node)
    return nnx.merge(graphdef, jax.tree.map(lambda leaf: jax.device_put(leaf, may_alias=False), state))


def ramp(first: float, last: float, *shape: int) -> jax.Array:
    """Return an array of float32 whose numbers rise or fall evenly: all are known, and no two are equal."""
    size = int(np.prod(shape))
    return array_of(np.linspace(first, last, size, dtype=np.float32).reshape(shape))


def close(seen: Any, expected: Any) -> bool:
    """Tell whether two arrays have one shape and the same numbers within 1e-5, relative or absolute."""
    if np.asarray(seen).dtype.hasobject:  # its own `==` is not asked
        return False
    return np.shape(seen) == np.shape(expected) and bool(np.allclose(seen, expected, rtol=1e-5, atol=1e-5))


def near(one: Any, two: Any) -> bool:
    """Tell whether two arrays have one shape and nearly the same numbers: two programs round in different ways."""
    return np.shape(one) == np.shape(two) and bool(np.allclose(one, two, rtol=1e-3, atol=1e-4))


def unlike(leaf: Any) -> int:
    """Return how many of the slices on the first axis are different."""
    slices = raw(leaf)
    return len(np.unique(slices.reshape(len(slices), -1), axis=0))


def describe(value: Any) -> str:
    """Return what a value is, in a few words: `a Param of float32[4, 2]`."""
    match value:
        case nnx.Variable():
            held = value.get_raw_value()
            return f"{article(type(value).__name__)} of {spec(held)}"
        case jax.Array() | np.ndarray():
            kind = "a NumPy array" if isinstance(value, np.ndarray) else "an array"
            return f"{kind} {spec(value)}"
        case bool() | int() | float() | str() | None:
            return f"the {type(value).__name__} {value!r}" if value is not None else "None"
        case type():
            return f"the class {value.__name__}"
        case tuple() | list() | dict():
            return f"{article(type(value).__name__)} of {len(value)}"
    return article(type(value).__name__)


def described(value: Any) -> str:
    """Return what a value is, and of a tuple or a list what each part is."""
    return f"({', '.join(map(describe, value))})" if isinstance(value, (tuple, list)) else describe(value)


def spec(value: Any) -> str:
    """Return the dtype and shape of an array, such as `float32[4, 2]`, or what else a value is."""
    if isinstance(value, (jax.Array, np.ndarray, jax.ShapeDtypeStruct)):
        return f"{value.dtype}{list(value.shape)}"
    return describe(value)


def numbers(value: Any) -> str:
    """Return an array in short: four significant digits, and the first six numbers of many."""
    flat = np.asarray(value)
    flat = flat if flat.dtype == bool else flat.astype(np.float64).ravel()
    if np.ndim(value) == 0:
        return f"{flat.item():.4g}"
    shown = ", ".join(f"{number:.4g}" for number in flat[:6].tolist())
    return f"[{shown}, …]" if flat.size > 6 else f"[{shown}]"


def listed(names: Iterable[object]) -> str:
    """Return names with commas between them, or `nothing`."""
    return ", ".join(map(str, names)) or "nothing"


def article(name: str) -> str:
    """Return a name with `a` or `an` before it."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
