"""Lay out the files of a lesson and put it into the list: ``python -m workshop.new SLUG``.

Nothing that is there is overwritten. Of a lesson that stands in the list already, the files that it lacks are laid out.
"""

import argparse
import ast
import keyword
import subprocess
import sys

from nnx_state._lessons import LESSONS, Lesson
from workshop.new import layout
from workshop.site.names import exported
from workshop.site.order import LIST, SLUG
from workshop.site.tree import Tree

CHANGELOG = "CHANGELOG.md"


class RefusedError(Exception):
    """What was asked for cannot be laid out; the message says what to do instead."""


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and lay out a lesson."""
    parser = argparse.ArgumentParser(prog="python noxfile.py new --", description=__doc__)
    parser.add_argument("slug", help="the word that names the lesson everywhere, such as own-types")
    parser.add_argument("--title", help="the heading of its page; by default its words")
    parser.add_argument("--question", default="WRITE: the question that its page answers.", help="what it answers")
    parser.add_argument("--after", default=LESSONS[-1].slug, metavar="SLUG", help="the lesson before it, or the last")
    parser.add_argument("--needs", default=[], nargs="+", metavar="SLUG", help="the lessons that it builds on")
    options = parser.parse_args(arguments)
    title = options.title or options.slug.replace("-", " ").capitalize()
    tree = Tree()
    try:
        lay_out(tree, Lesson(options.slug, title, options.question, tuple(options.needs)), options.after)
    except RefusedError as refused:
        sys.exit(str(refused))
    for path in tree.write():
        print(f"written: {path}")
    print("`python noxfile.py missing` says what is left to write.")


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
    tree.make(LIST, with_entry(tree.read(LIST), lesson, after))
    tree.make(CHANGELOG, with_line(tree.read(CHANGELOG), lesson))


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


def with_entry(source: str, lesson: Lesson, after: str) -> str:
    """Return the source of the list with a lesson behind another, formatted."""
    (listed,) = [
        node.value.elts
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
    ]
    ends = {ast.literal_eval(entry.args[0]): entry.end_lineno for entry in listed if isinstance(entry, ast.Call)}
    lines = source.splitlines(keepends=True)
    entry = f"{lesson.slug!r}, {lesson.title!r}, {lesson.question!r}, {lesson.needs!r}"
    lines.insert(ends[after] or 0, f"    Lesson({entry}),\n")
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", LIST, "-"]
    return subprocess.run(command, input="".join(lines), capture_output=True, encoding="utf-8", check=True).stdout


def with_line(changelog: str, lesson: Lesson) -> str:
    """Return the changelog with a line about a lesson, at the end of what was added since the last release."""
    before, heading, rest = changelog.partition("### Added\n\n")
    added, gap, older = rest.partition("\n\n")
    line = f"- The lesson {lesson.title}, with an exercise, a reference page and a Jupyter notebook."
    return f"{before}{heading}{added.rstrip()}\n{line}\n" + (f"\n{older}" if gap else "")


if __name__ == "__main__":
    main()
