"""What is laid out of a lesson, and what is refused."""

import keyword

from nnx_state._lessons import LESSONS, Lesson
from workshop.new import entries, layout
from workshop.site.names import exported
from workshop.site.order import LIST, SLUG
from workshop.site.tree import Tree


class RefusedError(Exception):
    """What was asked for cannot be laid out; the message says what to do instead."""


def lay_out(tree: Tree, lesson: Lesson, after: str) -> None:
    """Make the files of a lesson, its entry in the list below that of `after`, and its line in the changelog.

    Raises:
        RefusedError: If its slug will not do, or something of it is there already.
    """
    known = {one.slug: one for one in LESSONS}
    if lesson.slug in known:
        complete(tree, known[lesson.slug])
        return
    if fault := fault_of(tree, lesson, after):
        raise RefusedError(fault)
    for path, text in layout.files(lesson).items():
        tree.make(path, text)
    tree.make(LIST, entries.with_entry(tree.read(LIST), lesson, after))
    tree.make(entries.CHANGELOG, entries.with_line(tree.read(entries.CHANGELOG), lesson))


def complete(tree: Tree, lesson: Lesson) -> None:
    """Make the files that a lesson of the list lacks.

    Raises:
        RefusedError: If it lacks none.
    """
    lacking = [path for path in layout.needed(lesson) if not tree.has(path)]
    if not lacking:
        raise RefusedError(f"{lesson.slug} is a lesson with all its files: choose another word for a new one.")
    for path in lacking:
        tree.make(path, layout.files(lesson)[path])


def fault_of(tree: Tree, lesson: Lesson, after: str) -> str:
    """Return why a lesson cannot be laid out, with what to do; nothing if it can."""
    slugs = [one.slug for one in LESSONS]
    if not SLUG.fullmatch(lesson.slug):
        return f"{lesson.slug!r} is no slug: write small letters and digits, with single hyphens, such as own-types."
    if keyword.iskeyword(lesson.module) or lesson.module in public_names(tree):
        return f"nnx_state.{lesson.module} means something else already: choose another word."
    if after not in slugs:
        return f"{after!r} is no lesson that another can follow: choose one of {', '.join(slugs)}."
    if late := [slug for slug in lesson.needs if slug not in slugs[: slugs.index(after) + 1]]:
        return f"{lesson.slug} cannot need {', '.join(late)}: name lessons that come no later than {after}."
    taken = [path for path in (*layout.files(lesson), f"src/nnx_state/{lesson.module}") if (tree.root / path).exists()]
    return f"{', '.join(taken)}: there already. Choose another word, or move it away." if taken else ""


def public_names(tree: Tree) -> set[str]:
    """Return what `nnx_state` exports: a module of such a name would hide it."""
    files = [f"src/nnx_state/{lesson.module}.py" for lesson in LESSONS]
    return {name for file in files if tree.has(file) for name in exported(tree.read(file))}
