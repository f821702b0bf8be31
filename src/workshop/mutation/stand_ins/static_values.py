"""Static values: which names and keywords are known."""

import functools
from collections.abc import Iterator
from typing import Any

from flax import nnx

from workshop.mutation.stand_ins.registry import instead, stand_in


@stand_in("eval-refuses-an-unknown-name")
def eval_asks_for_names() -> Iterator[None]:
    """`eval()` refuses a name that the model has not."""
    evaluate: Any = nnx.Module.eval

    def strict(self: Any, **attributes: Any) -> None:
        if unknown := attributes.keys() - vars(self).keys():
            raise ValueError(f"no layer has {unknown}")
        evaluate(self, **attributes)

    with instead(nnx.Module, eval=strict):
        yield


@stand_in("param-refuses-an-unknown-keyword")
def params_have_no_metadata() -> Iterator[None]:
    """A Variable refuses every keyword that it does not know, and keeps none as metadata."""
    make = nnx.Variable.__init__
    with instead(nnx.Variable, __init__=lambda self, value: make(self, value)):
        yield


@stand_in("set-attributes-refuses-an-unknown-name", "view-refuses-an-unknown-name")
def unknown_names_are_ignored() -> Iterator[None]:
    """`set_attributes` and `nnx.view` do without a name that no layer has."""
    lenient = functools.partialmethod(nnx.Module.set_attributes, raise_if_not_found=False)
    with (
        instead(nnx.Module, set_attributes=lenient),
        instead(nnx, view=functools.partial(nnx.view, raise_if_not_found=False)),
    ):
        yield
