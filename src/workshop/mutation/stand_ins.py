"""Stand-ins: small changes of the Flax that is installed, under each of which some claims must turn."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass


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
