"""What several exercises try with an attempt: a call that may raise a known error; and the leaves of its objects."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state._paths import leaves
from nnx_state.practice.findings import Finding, told
from nnx_state.practice.probe import Attempt, Stop, content


def tried(attempt: Attempt, what: str, about: str, kinds: dict[str, str], line: int | None = None, **names: Any) -> Any:
    """Return the value of an expression; an error that says one of these texts becomes a finding of its kind.

    Args:
        attempt: the file.
        what: the expression.
        about: the name that the finding is of.
        kinds: the kind for each text; the empty text is in every error.
        line: the line of the finding, by default that of the name.
        **names: what the expression may name beside the attempt's own names.

    Raises:
        Stop: If the expression raises such an error.
    """
    try:
        return attempt.call(what, **names)
    except Exception as error:
        for kind in [kind for text, kind in kinds.items() if text in f"{type(error).__name__}: {error}"]:
            seen = f"`{what}` raised {told(error, 120)}"
            raise Stop(Finding(kind, about, seen, "no error", line or attempt.line(about))) from None
        raise


def held(node: nnx.Module | nnx.State[Any, Any]) -> dict[str, Any]:
    """Return the leaves of a module or a State by their dotted paths."""
    return dict(leaves(node))


def raw(leaf: Any) -> np.ndarray:
    """Return a copy of what a Variable holds, or of the leaf itself; of a random key, its numbers."""
    value = content(leaf)
    typed = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return np.array(jax.random.key_data(value) if typed else value)
