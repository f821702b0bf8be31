"""The ways through the lessons, each for one kind of reader, with its reading time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnx_state._lessons import Lesson


@dataclass(frozen=True)
class Way:
    """A way through the lessons, in their order.

    Attributes:
        name: who goes it, as its first words.
        words: what it leaves out and why, as a sentence in Markdown.
        without: the slugs of the lessons that it leaves out.
        known: those of them that its reader need not have read, since they know what these teach.
    """

    name: str
    words: str
    without: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    def lessons(self, lessons: Sequence[Lesson]) -> list[Lesson]:
        """Return the lessons that it leads through."""
        return [lesson for lesson in lessons if lesson.slug not in self.without]


WAYS = (
    Way(
        "From the beginning", "You need Python and have trained a network, in PyTorch or elsewhere: read all, in order."
    ),
    Way(
        "I know JAX",
        "You know keys, gradients, pytrees and traces: leave out the first lesson, and the special ones until you have "
        "their question.",
        without=(
            "linear",
            "own-types",
            "optimizer-state",
            "precision",
            "freezing",
            "surgery",
            "caches",
            "layer-state",
            "testing",
            "memory",
            "sharding",
            "processes",
            "large-models",
            "cost",
        ),
        known=("linear",),
    ),
)


def complaints(ways: Sequence[Way], lessons: Sequence[Lesson]) -> list[str]:
    """Return what is wrong with the ways, each with what mends it."""
    slugs = {lesson.slug for lesson in lessons}
    found = []
    for way in ways:
        unknown = sorted({*way.without, *way.known} - slugs)
        found += [f"{way.name!r} names {slug}, which is no lesson. What to do: take it out." for slug in unknown]
        for lesson in way.lessons(lessons):
            for need in lesson.needs:
                if need in way.without and need not in way.known:
                    fix = f"leave out {lesson.slug} too, or keep {need}"
                    found.append(f"{way.name!r} leaves out {need}, which {lesson.slug} needs. What to do: {fix}.")
    return [f"src/workshop/site/ways.py: {complaint}" for complaint in found]


def listed(ways: Sequence[Way], times: Mapping[Lesson, int]) -> str:
    """Return the ways as a list in Markdown.

    Args:
        ways: the ways.
        times: the minutes that each lesson takes, in the order of the lessons.
    """
    lines = []
    for way in ways:
        minutes = [times[lesson] for lesson in way.lessons(list(times))]
        lines.append(f"- **{way.name}**: {len(minutes)} lessons, {duration(sum(minutes))}. {way.words}")
    return "\n".join(lines)


def duration(minutes: int) -> str:
    """Return a time in words, such as "2 hours 5 minutes"."""
    parts = {"hour": minutes // 60, "minute": minutes % 60}
    return " ".join(f"{number} {unit}{'s' * (number != 1)}" for unit, number in parts.items() if number) or "0 minutes"
