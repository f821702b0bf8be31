"""What must hold of the one list of lessons before anything can follow from it."""

import re
from collections.abc import Mapping, Sequence

from nnx_state._lessons import Lesson

LIST = "src/nnx_state/_lessons.py"
SLUG = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def complaints(lessons: Sequence[Lesson]) -> list[str]:
    """Return what is wrong with a list of lessons, each with what mends it."""
    found = []
    slugs = [lesson.slug for lesson in lessons]
    needs = {lesson.slug: lesson.needs for lesson in lessons}
    for place, lesson in enumerate(lessons):
        slug, earlier = lesson.slug, slugs[:place]
        if not SLUG.fullmatch(slug):
            found.append(f"{slug!r} is no slug. What to do: write small letters and digits, with single hyphens.")
        if slug in earlier:
            found.append(f"{slug} stands there twice. What to do: take one of the two out.")
        if not (lesson.title.strip() and lesson.question.strip()):
            found.append(f"{slug} lacks words. What to do: write its title and its question.")
        for need in lesson.needs:
            if need not in slugs:
                found.append(f"{slug} needs {need}, which is no lesson. What to do: name one of {', '.join(slugs)}.")
            elif need not in earlier:
                fix = f"move {slug} below {need}, or take {need} out of what it needs"
                found.append(f"{slug} needs {need}, which does not come before it. What to do: {fix}.")
            elif others := [other for other in lesson.needs if need in all_needs(needs, other)]:
                found.append(f"{slug} needs {need}, as {others[0]} does, which it needs. What to do: take {need} out.")
    return [f"{LIST}: {complaint}" for complaint in found]


def all_needs(needs: Mapping[str, Sequence[str]], slug: str) -> set[str]:
    """Return all lessons that one builds on, those of what it needs too.

    Args:
        needs: what each lesson needs itself.
        slug: the lesson.
    """
    found: set[str] = set()
    new = set(needs.get(slug, ()))
    while new:
        found |= new
        new = {deeper for need in new for deeper in needs.get(need, ())} - found
    return found
