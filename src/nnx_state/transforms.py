"""Two checks of a compiled step: how often it was traced, and which Variables it left alone."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

import jax
from flax import nnx

from nnx_state import _checks
from nnx_state._bits import bits
from nnx_state._paths import dotted, leaves

__all__ = ["TraceCounter", "unchanged"]

P = ParamSpec("P")
R = TypeVar("R")


class TraceCounter(Generic[P, R]):
    """A TraceCounter calls a function and counts how often Python ran it: once a trace.

    Compiled code does not run Python, so that a call without a trace is not counted.
    Wrap the function first and compile it second: `nnx.jit(TraceCounter(step))`.

    Attributes:
        traces: How often Python ran the function so far.

    Args:
        function: A Python function that is not compiled yet.
        at_most: The largest number of traces that is allowed, an int from 1; `None` allows any number.

    Raises:
        TypeError: If `function` is no function or is compiled already, or `at_most` is not an int.
        ValueError: If `at_most` is out of range.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import TraceCounter

    double = TraceCounter(lambda x: 2 * x)
    compiled = nnx.jit(double)
    for size in (3, 3, 4):
        compiled(jnp.ones(size))
    print(double.traces)
    ```

    ```{.text .output}
    2
    ```
    """

    def __init__(self, function: Callable[P, R], at_most: int | None = None) -> None:
        if not callable(function) or hasattr(function, "lower"):  # what jit returns can be lowered
            given = type(function).__name__
            accepted = "function must be a Python function that is not compiled yet"
            raise TypeError(f"{accepted}, got a {given}: count first, then compile: nnx.jit(TraceCounter(step)).")
        functools.update_wrapper(self, function)  # jit reads the name and the signature
        self.function = function
        self.at_most = None if at_most is None else _checks.size("at_most", at_most)
        self.traces = 0
        self._seen: dict[str, Any] = {}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Count this trace and return what the function returns.

        Raises:
            RuntimeError: If this trace is one too many; the message names what changed since the last one.
        """
        self.traces += 1
        before, self._seen = self._seen, _describe(inspect.signature(self.function).bind(*args, **kwargs).arguments)
        if self.at_most is not None and self.traces > self.at_most:
            cause = _differences(before, self._seen) or "no argument changed: is the function compiled anew each time?"
            name = getattr(self.function, "__name__", "function")
            raise RuntimeError(f"{name} may be traced {self.at_most}x, got trace {self.traces}: {cause}")
        return self.function(*args, **kwargs)


def unchanged(before: Any, model: Any, only: nnx.filterlib.Filter = nnx.Param) -> list[str]:
    """Return the paths of the leaves that a step left alone, bit for bit.

    Args:
        before: A copy from before the step: `nnx.clone(model, arrays=True)`; without `arrays=True` it shares its
            arrays with the model, and a step that donates deletes them.
        model: The model after the step.
        only: The filter of the leaves to compare; the default takes the Params, as `nnx.grad` does in graph mode.

    Returns:
        The paths, joined by dots and sorted; an empty list if every leaf changed.

    Raises:
        TypeError: If the model is traced.
        ValueError: If no leaf matches a filter, the two hold different paths, or they share a Variable.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, unchanged

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    before = nnx.clone(model, arrays=True)
    model.bias[...] += 1.0
    print(unchanged(before, model))
    ```

    ```{.text .output}
    ['kernel']
    ```
    """
    old, new = (dict(leaves(nnx.state(node, only))) for node in (before, model))
    if lonely := sorted(set(old) ^ set(new)):
        raise ValueError(f"before and model must hold the same paths, got {lonely} in one only: clone this model.")
    if only is not ... and not new:
        raise ValueError(f"only must match a leaf of the model, got {only!r}, which matches none: pass `...` for all.")
    shared = sorted(path for path in new if isinstance(new[path], nnx.Variable) and old[path] is new[path])
    if shared:
        raise ValueError(f"before must be a copy, got the model's own {shared}: take nnx.clone(model) before the step.")
    return sorted(path for path in new if bits(old[path], "unchanged") == bits(new[path], "unchanged"))


def _describe(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what jit compares of each leaf: the type of an array, the value of anything static."""
    nodes = dict(nnx.iter_graph(arguments))
    parents = {path[:length] for path in nodes for length in range(len(path))}
    hidden = "_pytree__"  # what NNX keeps for itself, such as the trace that a module belongs to
    ends = {p: v for p, v in nodes.items() if p not in parents and not str(p[-1]).startswith(hidden)}
    return {dotted(path): _type_or_value(value) for path, value in ends.items()}


def _type_or_value(value: Any) -> Any:
    if isinstance(value, nnx.Variable):
        return f"{type(value).__name__} {_type_or_value(value.get_value())}"
    is_array = hasattr(value, "__array__") and not isinstance(value, type)  # np.float32 itself is static
    return str(jax.typeof(value)) if is_array else value


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return `path: old -> new` for each leaf that differs, such as `model.epoch: 0 -> 1`."""
    paths = [path for path in sorted(old | new) if path not in old or path not in new or old[path] != new[path]]
    return ", ".join(f"{path}: {_show(old, path)} -> {_show(new, path, another=path in old)}" for path in paths)


def _show(described: dict[str, Any], path: str, another: bool = False) -> str:
    if path not in described:
        return "absent"
    value = described[path]
    return f"{'another' if another else 'a'} {type(value).__name__}" if callable(value) else str(value)
