"""Which of several known formulas has given the numbers that are seen."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nnx_state.practice.values import close

# The functions that a layer may apply to its result without being asked to.
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "softmax": jax.nn.softmax,
}


def formula_of(
    seen: Any,
    known: Mapping[str, Any],
    otherwise: str = "formula",
    same: Callable[[Any, Any], bool] = close,
) -> str:
    """Return the name of the formula that gives what is seen; where two give it, neither is named.

    Args:
        seen: what the attempt has computed.
        known: what each formula gives; where one can be spelled in several ways, a tuple of what these give.
        otherwise: the name where it is none of them.
        same: tells whether two results count as one.
    """
    found = []
    for name, result in known.items():
        spellings = result if isinstance(result, tuple) else (result,)
        if any(same(seen, spelling) for spelling in spellings):
            found.append(name)
    return found[0] if len(found) == 1 else otherwise


def first_that_holds(cases: Mapping[str, Any], otherwise: str) -> str:
    """Return the name of the first case that holds."""
    return next((name for name, holds in cases.items() if holds), otherwise)
