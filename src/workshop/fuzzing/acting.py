"""A program that a learner starts, in which an attempt passes if it says so: the Python that runs it checks no more.

    python -m workshop.fuzzing.acting practice check multi_param.py

`watch` sees two saves of what it has begun, the first one wrong and the second one right, and then ends.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import watchfiles

from nnx_state import cli
from nnx_state.practice import running

RIGHT = "RIGHT = True\n"
WRONG = "RIGHT = False\n"
SAVED = f"{RIGHT}# saved while watch was looking\n"
ANSWER = f"""
import json, sys
question = json.loads(sys.stdin.readline())
if {RIGHT!r} not in question["text"]:
    print(question["word"] + json.dumps({{"finding": {{"kind": "absent", "about": "name", "line": 1}}}}))
print(question["word"] + json.dumps({{"done": True}}))
"""


def watched(folder: Path, **how: Any) -> Iterator[set[tuple[watchfiles.Change, str]]]:
    """Yield what an operating system would, while somebody saves an attempt twice."""
    yield set()
    for text in (WRONG, SAVED):
        path = folder / "homes.py"
        new = path.with_name(".homes.py.editor")
        new.write_text(text, "utf-8")
        new.replace(path)
        yield {(watchfiles.Change.modified, str(path))}


def main(*arguments: str) -> None:
    """Run the command line with these arguments."""
    setattr(running, "PROGRAM", ANSWER)  # noqa: B010 - a module says nothing of what is put into it
    setattr(watchfiles, "watch", watched)  # noqa: B010 - likewise
    sys.argv = ["nnx-state", *arguments]
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
