"""What a stand-in is, how one is registered, and what they are made with."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from flax import nnx


@dataclass(frozen=True)
class StandIn:
    """A Flax that does otherwise in one thing.

    Attributes:
        context: the context in which it does.
        turns: the claims that must turn there: what holds must differ, what differs must hold.
    """

    context: Callable[[], contextlib.AbstractContextManager[None]]
    turns: tuple[str, ...]


STAND_INS: dict[str, StandIn] = {}


def stand_in(*turns: str) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Iterator[None]]]:
    """Register a generator of one step as a stand-in under which these claims must turn."""

    def register(function: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
        STAND_INS[function.__name__] = StandIn(contextlib.contextmanager(function), turns)
        return function

    return register


@contextlib.contextmanager
def instead(owner: Any, **replacements: Any) -> Iterator[None]:
    """Put something in the place of attributes of a module or a class."""
    with contextlib.ExitStack() as stack:
        for name, replacement in replacements.items():
            stack.enter_context(mock.patch.object(owner, name, replacement))
        yield


def variables(node: Any) -> dict[Any, Any]:
    """Return the Variables of a module by path, and none of its plain arrays."""
    return {path: leaf for path, leaf in nnx.to_flat_state(nnx.state(node)) if isinstance(leaf, nnx.Variable)}


def nothing(*arguments: Any, **options: Any) -> None:
    """Do nothing."""
