"""The page of each exercise, made from what the command line shows too.

``python -m workshop.site.problems`` writes them to ``docs/exercises``.
"""

import re
from pathlib import Path

from nnx_state.practice.exercises import Exercise, exercises

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


def page(exercise: Exercise) -> str:
    """Return the Markdown of an exercise's page."""
    title = f"# Exercise: {exercise.title}\n"
    before, problem = exercise.statement.split("## Problem\n")
    problem, by_hand = re.split(r"(?=^## Check by hand\n)", problem, maxsplit=1, flags=re.MULTILINE)
    if title not in before:
        raise ValueError(f"{exercise.slug}: the heading must come before the problem.")
    commands = COMMANDS.format(slug=exercise.slug, filename=exercise.filename)
    mistakes = exercise.mistakes()
    listed = "\n".join(f"- [{mistake.headline}](../{mistake.lesson})" for mistake in mistakes)
    answers = ANSWERS.format(solution=exercise.solution, count=len(mistakes), mistakes=listed)
    before = before.replace("\n---\n", "\nsearch:\n  boost: 0.5\n---\n", 1)  # a lesson comes before its exercise
    return f"{before}{commands}\n## Problem\n{problem}{answers}{by_hand}"


def write(docs: Path) -> list[Path]:
    """Write the page of every exercise below docs, and return their paths."""
    written = []
    for exercise in exercises():
        path = docs / "exercises" / f"{exercise.slug}.md"
        path.write_text(page(exercise), "utf-8", newline="\n")
        written.append(path)
    return written


if __name__ == "__main__":
    write(Path("docs"))
