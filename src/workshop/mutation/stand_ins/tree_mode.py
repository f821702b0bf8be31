"""Graph and tree mode: which of them NNX is in."""

import contextlib
from collections.abc import Iterator
from typing import Any

from flax import nnx

from workshop.mutation.stand_ins.registry import instead, stand_in


@stand_in("tree-mode-keeps-an-array", "graph-mode-is-the-default", "grad-in-tree-mode-takes-every-leaf")
def tree_mode_is_turned_around() -> Iterator[None]:
    """Tree mode is the default, and what asks for it gets graph mode."""
    setting: Any = nnx.set_graph_mode

    class Turned:
        """The setting, as its opposite."""

        current_value = staticmethod(lambda: not setting.current_value())

        def __new__(cls, mode: bool) -> Any:
            """Return the context of the other mode."""
            return setting(not mode)

    with instead(nnx, set_graph_mode=Turned):
        yield


@stand_in(
    "tree-mode-gives-back-a-new-variable",
    "tree-mode-gives-back-a-number",
    "tree-mode-has-a-gradient-of-a-count",
    "tree-mode-jit-refuses-a-tie",
    "tree-mode-refuses-an-integer",
    "tree-mode-refuses-diffstate",
    "tree-mode-refuses-one-model-twice",
    "tree-mode-refuses-state-axes",
    "tree-mode-split-refuses-a-tie",
)
def graph_mode_stays() -> Iterator[None]:
    """What asks for tree mode gets graph mode."""

    def stay(mode: bool) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    with instead(nnx, set_graph_mode=stay, set_graph_updates=stay):
        yield
