"""Errors and warnings: what is said, and whether."""

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
from flax import nnx

from workshop.mutation.stand_ins.registry import instead, nothing, stand_in


def reworded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function, or a transform with its functions, whose errors have another text."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            result = function(*arguments, **options)
        except Exception as error:
            raise type(error)("other words") from None
        return reworded(result) if callable(result) and not isinstance(result, nnx.Pytree) else result

    return call


@stand_in(
    "a-narrower-gradient-raises",
    "accuracy-wants-integer-labels",
    "an-average-asks-for-its-keyword",
    "an-older-optimizer-no-longer-fits",
    "branches-write-alike",
    "cache-refuses-another-batch",
    "check-pytree-finds-a-late-layer",
    "ellipsis-comes-last",
    "integer-param-has-no-gradient",
    "integer-variable-under-jax-grad",
    "missing-stream-raises",
    "own-type-has-no-name",
    "state-axes-end-with-the-rest",
    "state-axes-need-every-leaf",
    "static-refuses-an-array",
    "what-depends-on-the-example-has-an-axis",
)
def errors_have_other_words() -> Iterator[None]:
    """What raises does so with another text."""
    names = ("cond", "split", "vmap", "variable_name_from_type", "check_pytree", "grad")
    functions = {name: reworded(getattr(nnx, name)) for name in names}
    with (
        instead(nnx, **functions),
        instead(jax, grad=reworded(jax.grad)),
        instead(nnx.Optimizer, update=reworded(nnx.Optimizer.update)),
        instead(nnx.Rngs, __getattr__=reworded(nnx.Rngs.__getattr__)),
        instead(nnx.Module, __setattr__=reworded(nnx.Module.__setattr__)),
        instead(nnx.metrics.Average, update=reworded(nnx.metrics.Average.update)),
        instead(nnx.metrics.Accuracy, update=reworded(nnx.metrics.Accuracy.update)),
        instead(nnx.MultiHeadAttention, __call__=reworded(nnx.MultiHeadAttention.__call__)),
    ):
        yield


@stand_in(
    "pure-warns",
    "rope-reads-value",
    "sow-alone-warns",
    "state-methods-warn",
)
def nothing_warns() -> Iterator[None]:
    """Nothing warns."""
    with instead(warnings, warn=nothing):
        yield
