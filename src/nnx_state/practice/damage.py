"""What a mistake does in a run, measured: a step of an optimizer, a gradient, a donation, traces.

Each function makes a run and returns what came of it; the checks of an exercise put that into a sentence.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state import TraceCounter
from nnx_state.practice.findings import told
from nnx_state.practice.values import content, put


def shown(run: Callable[..., str], *arguments: Any, subject: str = "A run that would measure this") -> str:
    """Return the sentence that a run gives, or how the run fails, so that nothing fails in silence.

    Args:
        run: makes the run, with objects of an attempt that is known to be wrong.
        *arguments: what it is called with.
        subject: how the sentence begins where it fails.
    """
    try:
        return run(*arguments)
    except Exception as error:
        return f"{subject} raises {told(error, 100).rstrip('.')}."


def decayed(model: nnx.Module, name: str, start: float = 5.0, weight_decay: float = 0.1) -> Any:
    """Return what one step of AdamW makes of an attribute that is `start` everywhere, though no loss depends on it.

    Args:
        model: a module whose attribute is a Param; it is changed.
        name: the attribute.
        start: the number to begin with.
        weight_decay: that of AdamW, whose learning rate is 0.1.
    """
    put(model, name, jnp.full_like(content(getattr(model, name)), start))
    optimizer = nnx.Optimizer(model, optax.adamw(0.1, weight_decay=weight_decay), wrt=nnx.Param)
    optimizer.update(model, jax.tree.map(jnp.zeros_like, nnx.state(model, nnx.Param)))
    return content(getattr(model, name))


def traces(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], jit: Callable[..., Any] = nnx.jit) -> int:
    """Return how often Python runs a function that is compiled once and then called.

    Args:
        function: what is compiled.
        calls: the arguments of each call; they may be made one after another, between the calls.
        jit: what compiles it.
    """
    counter = TraceCounter(function)
    compiled = jit(counter)
    for arguments in calls:
        compiled(*arguments)
    return counter.traces


def integer_gradient(model: nnx.Module, loss: Callable[[Any], Any]) -> str:
    """Return what NNX says of the gradient of a model that has an integer Param, or nothing if it takes it."""
    try:
        nnx.grad(loss)(model)
    except TypeError as error:
        return str(error).strip().splitlines()[0]
    return ""


def deleted_by_donation(given: Any, other: Any) -> bool:
    """Donate the array of one leaf to a compiled function, and tell whether that of another leaf is deleted too."""
    jax.jit(jnp.negative, donate_argnums=0)(content(given))
    array = content(other)
    return isinstance(array, jax.Array) and array.is_deleted()
