"""How the stages of an exercise's checks depend on each other, so that one mistake is told once.

A stage is a generator function that yields what it finds in an attempt. The stages run one after another, in the
order of `STAGES` in the checks. What one mistake breaks in the stages after its own is no finding of theirs: they
say which stages must have found nothing. A `Stop` or an error ends all stages, except where they are apart.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stage

_APART: set[Any] = set()


def needs(*earlier: Stage) -> Callable[[Stage], Stage]:
    """Skip a stage where one of these earlier stages found something or was skipped: what it finds would mislead."""

    def decorate(stage: Stage) -> Stage:
        @functools.wraps(stage)
        def guarded(attempt: Attempt) -> Iterator[Finding]:
            if attempt.sound(*earlier):
                yield from stage(attempt)
            else:
                attempt.skipped.add(guarded)

        return guarded

    return decorate


def apart(stage: Stage) -> Stage:
    """Let what ends this stage end it alone: the next one tries another part of the attempt, and can tell of it."""
    _APART.add(stage)
    return stage


def is_apart(stage: Any) -> bool:
    """Tell whether what ends a stage ends it alone."""
    return stage in _APART or (hasattr(stage, "__wrapped__") and is_apart(stage.__wrapped__))
