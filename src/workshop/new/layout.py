"""The files that a lesson has of its own, as they are laid out: a small lesson that runs, with words to be written.

They stand in `template/`, in the places of a lesson whose slug is SLUG and whose module is MODULE. What is to be
written by hand is marked there by a word, and the census names each place that still holds it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from string import Template

from nnx_state._lessons import Lesson

TO_WRITE = re.compile(r'WRITE: ([^"\n]*)')
_TEMPLATE = Path(__file__).with_name("template")
_SUFFIX = ".template"


def files(lesson: Lesson) -> dict[str, str]:
    """Return the text of each file of a new lesson, by its path in the repository."""
    words = {"slug": lesson.slug, "module": lesson.module, "title": lesson.title, "name": example(lesson)}
    return {path: Template(file.read_text("utf-8")).substitute(words) for path, file in _templates(lesson)}


def needed(lesson: Lesson) -> list[str]:
    """Return the paths of these files."""
    return [path for path, _ in _templates(lesson)]


def example(lesson: Lesson) -> str:
    """Return the name of the class that stands in a new lesson until its own is written, such as `OwnTypesExample`."""
    return "".join(word.capitalize() for word in lesson.slug.split("-")) + "Example"


def _templates(lesson: Lesson) -> Iterator[tuple[str, Path]]:
    for file in sorted(_TEMPLATE.rglob(f"*{_SUFFIX}")):
        path = file.relative_to(_TEMPLATE).as_posix().removesuffix(_SUFFIX)
        yield path.replace("SLUG", lesson.slug).replace("MODULE", lesson.module), file
