"""The page of each exercise, made from what the command line shows too."""

import re
from itertools import zip_longest

from nnx_state._lessons import LESSONS
from nnx_state.practice.exercises import Exercise, exercises
from workshop.site import lessons
from workshop.site.tree import Tree

NEEDED = ("statement.md", "solution.py", "diagnoses.toml")

COMMANDS = """\
```sh
nnx-state practice start {slug}
nnx-state practice check
nnx-state practice hint {slug}
```

The first command writes `{filename}` for you to edit, the second names your mistake, the third helps you on.
[How an attempt is checked](index.md) explains them.
"""

ANSWERS = """\
## Solution

/// details | Solution

```python
{solution}```

///

## Mistakes that the check names

/// details | {count} mistakes, each with its proof

{mistakes}

///

"""


def make(tree: Tree) -> None:
    """Make the page of each exercise that has what a page shows."""
    for exercise in exercises():
        if all((exercise.folder / name).is_file() for name in NEEDED):
            tree.make(f"docs/exercises/{exercise.slug}.md", page(exercise))


def page(exercise: Exercise) -> str:
    """Return the Markdown of an exercise's page."""
    matter, before, problem, by_hand = parts(exercise)
    commands = COMMANDS.format(slug=exercise.slug, filename=exercise.filename)
    mistakes = exercise.mistakes()
    listed = "\n".join(f"- [{mistake.headline}](../{mistake.lesson})" for mistake in mistakes)
    answers = ANSWERS.format(solution=exercise.solution, count=len(mistakes), mistakes=listed)
    order = zip_longest(LESSONS, LESSONS[1:])
    lesson, following = next((one, after) for one, after in order if one.slug == exercise.slug)
    # a lesson comes before its exercise in the search; the footer would lead from exercise to exercise
    made = f"search:\n  boost: 0.5\nlesson: {lessons.place(lesson)}\nhide: [footer]"
    matter = matter.replace("\n---\n", f"\n{made}\n---\n", 1)
    heading = f"# Exercise: {exercise.title}"
    back = f"[Lesson: {exercise.title}](../lessons/{exercise.slug}.md). What you need, explained once more."
    steps = lessons.steps(back, lessons.onward(following, "../lessons/"))
    return f"{matter}\n{heading}\n\n{before}{commands}\n{problem}{answers}{by_hand}\n{steps}"


def parts(exercise: Exercise) -> tuple[str, str, str, str]:
    """Return front matter, opening, problem with its hints, and the check by hand, as a statement holds them."""
    found = re.fullmatch(
        r"(---\n.*?\n---\n)\n(.*?)(^## Problem\n.*?)(^## Check by hand\n.*)",
        exercise.statement,
        re.DOTALL | re.MULTILINE,
    )
    if not found:
        fix = "write front matter, what to do in a sentence, `## Problem`, `## Hints` and `## Check by hand`"
        raise ValueError(f"{exercise.folder.name}/statement.md lacks a part. What to do: {fix}, in this order.")
    matter, before, problem, by_hand = found.groups()
    return matter, before, problem, by_hand
