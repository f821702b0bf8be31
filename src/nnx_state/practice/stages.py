"""How the stages of an exercise's checks depend on each other, so that one mistake is told once.

A stage is a generator function that yields what it finds in an attempt. The stages run one after another, in the
order of `STAGES` in the checks. What one mistake breaks in the stages after its own is no finding of theirs: they
say which stages must have found nothing. A `Stop` ends all stages, or those of its part where the stages have parts.
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


def part(*stages: Stage) -> tuple[Stage, ...]:
    """Let a `Stop` in one of these stages end those of them that come after it, and no stage of another part.

    So what is independent of a mistake, such as a function beside a class that is missing, is checked all the same.
    """

    def guarded(stage: Stage) -> Stage:
        @functools.wraps(stage)
        def run(attempt: Attempt) -> Iterator[Finding]:
            if stages in attempt.ended:
                return
            try:
                yield from stage(attempt)
            except Stop as stop:
                attempt.ended.add(stages)
                yield stop.finding

        return run

    return tuple(map(guarded, stages))


def apart(stage: Stage) -> Stage:
    """Let a `Stop` end this stage alone: the next one tries another part of the attempt, and can still tell of it."""
    return part(stage)[0]
