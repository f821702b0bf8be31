"""What a lesson's page says of its place among the lessons, the table of them all, and the links to the first.

The heading, what it takes and needs, and the steps that follow it are written into the page; the rest is its own.
"""

import itertools
import json
import math
import re
from pathlib import Path

from nnx_state._lessons import LESSONS, Lesson
from workshop.pages import PYTHON_FENCES, fences, prose
from workshop.site import tables, terms, ways
from workshop.site.tree import Tree

INDEX = "docs/lessons/index.md"
HOME = "docs/index.md"
LAST = "[Pitfalls](../pitfalls/index.md). What went wrong, and why?"
MADE = "# What follows here, the heading and what stands below Next are written by `python noxfile.py generate`."
_MADE = ("minutes:", "needs:", "lesson:", "subtitle:", "tags:")
_PAGE = re.compile(r"---\n(?P<matter>.*?)---\n\n# [^\n]*\n(?P<body>.*?)\n*(?:\n## Next\n.*|\nNext[^\n]*)?\n", re.DOTALL)
_FIRST = re.compile(r"(\[Start with the first lesson\])\([^)]*\)")
_TITLES = {lesson.slug: lesson.title for lesson in LESSONS}


def make(tree: Tree) -> None:
    """Make the page of each lesson that has one, what the index lists, and the links to the first lesson.

    Raises:
        ValueError: If a page does not begin as pages do, or a way leaves out what it needs.
    """
    times = {}
    rows = ["| Lesson | The question | Minutes | After |", "|---|---|---|---|"]
    for number, (lesson, following) in enumerate(itertools.zip_longest(LESSONS, LESSONS[1:]), start=1):
        if tree.has(path := address(lesson)):
            tree.make(path, page(path, tree.read(path), lesson, following))
            times[lesson] = minutes(tree.read(path))
            rows.append(row(number, lesson, times[lesson]))
    tables.fill(tree, INDEX, "\n".join(rows))
    tables.fill(tree, INDEX, ways.listed(ways.WAYS, times), "list of ways")
    pages = [terms.Page(path, tree.read(path)) for path in map(address, times)]
    tables.fill(tree, INDEX, terms.table(terms.first_places(pages)), "list of terms")
    for path, folder in {INDEX: "", HOME: "lessons/"}.items():
        tree.make(path, _FIRST.sub(rf"\1({folder}{LESSONS[0].slug}.md)", tree.read(path)))


def address(lesson: Lesson) -> str:
    """Return the path of a lesson's page."""
    return f"docs/lessons/{lesson.slug}.md"


def on_the_path(root: Path) -> list[terms.Page]:
    """Return the pages of the lessons in the order in which they are read.

    Args:
        root: the folder that holds `docs`.
    """
    paths = [address(lesson) for lesson in LESSONS if (root / address(lesson)).exists()]
    return [terms.Page(path, (root / path).read_text("utf-8")) for path in paths]


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
    exercise = f"[Exercise: {lesson.title}](../exercises/{lesson.slug}.md). Write it, and have each mistake named."
    body = f"# {lesson.title}\n{found['body']}\n\n{steps(exercise, onward(following))}"
    lines = found["matter"].splitlines()
    own = [line for line in lines if "python noxfile.py generate" not in line and not line.startswith(_MADE)]
    made = {
        "minutes": minutes(body),
        "needs": {slug: _TITLES[slug] for slug in lesson.needs},
        "lesson": place(lesson),
        "subtitle": lesson.question.replace("`", ""),  # the navigation shows it below the title
        "tags": [lesson.question.replace("`", "")],  # and the search finds the lesson by it
    }
    told = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in made.items()]
    matter = "\n".join([*own, MADE, *told])
    return f"---\n{matter}\n---\n\n{body}"


def place(lesson: Lesson) -> str:
    """Return which one it is of all lessons, such as `3 of 19`."""
    return f"{LESSONS.index(lesson) + 1} of {len(LESSONS)}"


def steps(first: str, second: str) -> str:
    """Return the end of a page: two steps, each a link and what it leads to, in Markdown."""
    return f"## Next\n\n1. {first}\n2. {second}\n"


def onward(following: Lesson | None, folder: str = "") -> str:
    """Return the step to the next lesson; after the last one it leads elsewhere.

    Args:
        following: the lesson that comes next.
        folder: the way to the folder of the lessons, such as `../lessons/`.
    """
    if following is None:
        return LAST
    number = LESSONS.index(following) + 1
    return f"[Lesson {number}: {following.title}]({folder}{following.slug}.md). {following.question}"


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
