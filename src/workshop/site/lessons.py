"""What a lesson's page says of its place among the lessons, the table of them all, and the links to the first.

The heading, what it takes and needs, and the link to the next lesson are written into the page; the rest is its own.
"""

import itertools
import json
import math
import re

from nnx_state._lessons import LESSONS, Lesson
from workshop.pages import PYTHON_FENCES, fences, prose
from workshop.site import tables
from workshop.site.tree import Tree

INDEX = "docs/lessons/index.md"
HOME = "docs/index.md"
LAST = "Next: [find a pitfall](../pitfalls.md)."
MADE = "# These two lines, the heading and the last line of the page are written by `python noxfile.py generate`."
_PAGE = re.compile(r"---\n(?P<matter>.*?)---\n\n# [^\n]*\n(?P<body>.*?)\n*(?:\nNext[^\n]*)?\n", re.DOTALL)
_FIRST = re.compile(r"(\[Start with the first lesson\])\([^)]*\)")
_TITLES = {lesson.slug: lesson.title for lesson in LESSONS}


def make(tree: Tree) -> None:
    """Make the page of each lesson that has one, the table of the index, and the links to the first lesson.

    Raises:
        ValueError: If a page does not begin as pages do.
    """
    rows = ["| Lesson | The question | Minutes | After |", "|---|---|---|---|"]
    for number, (lesson, following) in enumerate(itertools.zip_longest(LESSONS, LESSONS[1:]), start=1):
        if tree.has(path := address(lesson)):
            tree.make(path, page(path, tree.read(path), lesson, following))
            rows.append(row(number, lesson, minutes(tree.read(path))))
    tables.fill(tree, INDEX, "\n".join(rows))
    for path, folder in {INDEX: "", HOME: "lessons/"}.items():
        tree.make(path, _FIRST.sub(rf"\1({folder}{LESSONS[0].slug}.md)", tree.read(path)))


def address(lesson: Lesson) -> str:
    """Return the path of a lesson's page."""
    return f"docs/lessons/{lesson.slug}.md"


def page(path: str, text: str, lesson: Lesson, following: Lesson | None) -> str:
    """Return the page of a lesson with what follows from the list, and all else as it was.

    Args:
        path: where it is, for the message.
        text: the page as it is.
        lesson: its entry in the list.
        following: the one after it.

    Raises:
        ValueError: If it does not begin with front matter and a heading.
    """
    found = _PAGE.fullmatch(text)
    if not found:
        fix = f"write front matter, an empty line and `# {lesson.title}`"
        raise ValueError(f"{path}: it begins otherwise than a lesson. What to do: {fix}.")
    link = f"Next lesson: [{following.title}]({following.slug}.md)." if following else LAST
    body = f"# {lesson.title}\n{found['body']}\n\n{link}\n"
    own = [line for line in found["matter"].splitlines() if not line.startswith((MADE, "minutes:", "needs:"))]
    needs = json.dumps({slug: _TITLES[slug] for slug in lesson.needs}, ensure_ascii=False)
    matter = "\n".join([*own, MADE, f"minutes: {minutes(body)}", f"needs: {needs}"])
    return f"---\n{matter}\n---\n\n{body}"


def minutes(page: str) -> int:
    """Return how long a lesson takes, at 150 words of prose a minute and five seconds for a line of code.

    Args:
        page: its Markdown; front matter does not count.
    """
    body = re.sub(r"\A---\n.*?\n---\n", "", page, flags=re.DOTALL)
    lines = sum(len(fence.content.splitlines()) for fence in fences(body) if fence.info.strip() in PYTHON_FENCES)
    return math.ceil(len(prose(body).split()) / 150 + lines * 5 / 60)


def row(number: int, lesson: Lesson, time: int) -> str:
    """Return the row of a lesson in the table of the index, in Markdown."""
    order = [other.slug for other in LESSONS]
    after = ", ".join(str(order.index(slug) + 1) for slug in lesson.needs)
    question = lesson.question.replace("|", r"\|")  # within backticks too
    return f"| {number}. [{lesson.title}]({lesson.slug}.md) | {question} | {time} | {after} |"
