"""How the stages of an exercise's checks depend on each other, so that one mistake is told once.

A stage is a generator function that yields what it finds in an attempt. The stages run one after another, in the
order of `STAGES` in the checks. What one mistake breaks in the stages after its own is no finding of theirs: they
say which stages must have found nothing. What ends a stage, a `Stop` or an error, ends all of them, or those of its
part where the stages have parts.
"""

import functools
import inspect
from collections.abc import Callable, Iterator

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stage

_PARTS: dict[Stage, tuple[Stage, ...]] = {}


def needs(*earlier: Stage) -> Callable[[Stage], Stage]:
    """Skip a stage where one of these earlier stages found something or was skipped: what it finds would mislead."""

    def decorate(stage: Stage) -> Stage:
        @functools.wraps(stage)
        def guarded(attempt: Attempt) -> Iterator[Finding]:
            if attempt.sound(*earlier):
                yield from stage(attempt)
            else:
                attempt.skipped.add(inspect.unwrap(stage))

        return guarded

    return decorate


def part(*stages: Stage) -> tuple[Stage, ...]:
    """Let what ends one of these stages end those of them that come after it, and no stage of another part.

    So what is independent of a mistake, such as a function beside a class that is missing, is checked all the same.
    """
    _PARTS.update((inspect.unwrap(stage), stages) for stage in stages)
    return stages


def part_of(stage: Stage) -> tuple[Stage, ...] | None:
    """Return the part to which a stage belongs, if it belongs to one."""
    return _PARTS.get(inspect.unwrap(stage))


def apart(stage: Stage) -> Stage:
    """Let what ends this stage end it alone: the next one tries another part of the attempt, and can tell of it."""
    return part(stage)[0]
