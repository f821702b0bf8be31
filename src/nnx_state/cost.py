"""What a call costs: Python's work, and time."""

import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, ParamSpec

import jax

from nnx_state import _checks
from nnx_state.memory import nbytes as nbytes

__all__ = ["microseconds", "python_calls"]

P = ParamSpec("P")

_COMPREHENSIONS = {"<listcomp>", "<dictcomp>", "<setcomp>"}  # functions of their own before Python 3.12


def python_calls(function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> int:
    """Count the Python functions that run in one call: of compiled code they are the dispatch.

    The count is the same in each run, on a busy machine and on Python 3.11 to 3.13, where times are not.
    It depends on the versions of JAX and Flax.
    The function is called three times, and the third call counts: the first traces, the second may fill caches.

    Counted are the function itself, if it is written in Python, and all that it calls in this thread.
    A generator counts each time it goes on.
    Comprehensions, `__eq__` with all that it calls, functions written in C and compiled code do not count.

    Args:
        function: What to call; it must not donate its arguments, since it gets them three times.
        *args: Its arguments.
        **kwargs: Its keyword arguments.

    Returns:
        The number of calls.

    Raises:
        TypeError: If `function` cannot be called.

    ```python
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import MultiParam, python_calls


    def forward(model, x):
        return model(x)


    model, x = MultiParam(4, 2, rngs=nnx.Rngs(0)), jnp.ones(4)
    counts = [python_calls(jit(forward), model, x) for jit in (nnx.jit, jax.jit)]
    print(counts[0] > 5 * counts[1])
    ```

    ```{.text .output}
    True
    ```
    """
    _check_callable("function", function, "python_calls(step, model)")
    total = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal total
        total += event == "call" and frame.f_code.co_name not in _COMPREHENSIONS and not _compares(frame)

    for _ in range(2):
        function(*args, **kwargs)
    profiler, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # JAX runs Python functions at each collection
    sys.setprofile(count)
    try:
        function(*args, **kwargs)
    finally:
        sys.setprofile(profiler)
        if collects:
            gc.enable()
    return total


def microseconds(functions: Mapping[str, Callable[[], Any]], rounds: int = 100) -> dict[str, float]:
    """Measure how long a call of each function takes, from its start until its result is computed.

    Each is called once first, which compiles it.
    Then each round calls them in turn, so that a busy machine disturbs all alike: compare the numbers as ratios.
    What a function returns is waited for; what it writes into a model is not.

    Args:
        functions: Functions without arguments, such as `lambda: step(model)`, each with a name.
        rounds: How often each is measured, an int from 1.

    Returns:
        The median over the rounds for each name, in microseconds of wall-clock time.

    Raises:
        TypeError: If one of the functions cannot be called or `rounds` is not an int.
        ValueError: If `rounds` is out of range.

    ```python
    import jax.numpy as jnp

    from nnx_state import microseconds

    small, large = jnp.ones((2, 2)), jnp.ones((512, 512))
    times = microseconds({"2": lambda: small @ small, "512": lambda: large @ large})
    print(list(times), 0 < times["2"] < times["512"])
    ```

    ```{.text .output}
    ['2', '512'] True
    ```
    """
    rounds = _checks.size("rounds", rounds)
    for name, function in functions.items():
        _check_callable(name, function, "lambda: step(model)")
    for function in functions.values():
        _finish(function)
    times: dict[str, list[int]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter_ns()
            _finish(function)
            times[name].append(time.perf_counter_ns() - start)
    return {name: statistics.median(found) / 1000 for name, found in times.items()}


def _compares(frame: FrameType | None) -> bool:
    """Tell whether a frame belongs to a comparison: how many a dictionary makes depends on the order of hashes."""
    while frame and frame.f_code.co_name != "__eq__":
        frame = frame.f_back
    return frame is not None


def _finish(function: Callable[[], Any]) -> None:
    jax.block_until_ready(function())  # type: ignore[no-untyped-call]  # JAX has no annotations here


def _check_callable(name: str, function: object, example: str) -> None:
    if not callable(function):
        given = f"{type(function).__name__} that cannot be called"
        raise TypeError(f"{name} must be a function, got a {given}: pass the function, not its result: {example}.")
