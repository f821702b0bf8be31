"""How the stages of an exercise's checks depend on each other, so that one mistake is told once.

A stage is a generator function that yields what it finds in an attempt. The stages run one after another, in the
order of `STAGES` in the checks. What one mistake breaks in the stages after its own is no finding of theirs: they
say which stages must have found nothing. A `Stop` ends all stages, except where they are apart.
"""

import functools
from collections.abc import Callable, Iterator

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stage, Stop


def needs(*earlier: Stage) -> Callable[[Stage], Stage]:
    """Skip a stage where one of these earlier stages found something, since what it finds would mislead."""

    def decorate(stage: Stage) -> Stage:
        @functools.wraps(stage)
        def guarded(attempt: Attempt) -> Iterator[Finding]:
            if attempt.sound(*earlier):
                yield from stage(attempt)

        return guarded

    return decorate


def apart(stage: Stage) -> Stage:
    """Let a `Stop` end this stage alone: the next one tries another part of the attempt, and can still tell of it."""

    @functools.wraps(stage)
    def stopped(attempt: Attempt) -> Iterator[Finding]:
        try:
            yield from stage(attempt)
        except Stop as stop:
            yield stop.finding

    return stopped
