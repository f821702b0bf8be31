"""What must hold of the one list of lessons before anything can follow from it."""

import re
from collections.abc import Sequence

from nnx_state._lessons import Lesson

LIST = "src/nnx_state/_lessons.py"
SLUG = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def complaints(lessons: Sequence[Lesson]) -> list[str]:
    """Return what is wrong with a list of lessons, each with what mends it."""
    found = []
    slugs = [lesson.slug for lesson in lessons]
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
    return [f"{LIST}: {complaint}" for complaint in found]
