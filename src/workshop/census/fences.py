"""Fences and blocks of Markdown are spelled in the one way in which they are seen, run and compared."""

import re
from collections.abc import Iterator

from workshop.census.repository import Repository
from workshop.pages import OLDER, OTHER_FENCES, PYTHON_FENCES, docstrings, fence_lines, fences, lines_of, orphans

# what may follow ///
BLOCKS = ("answer", "details", "html", "note", "ours", "right", "tab", "theirs", "warning", "wrong")


def fences_are_spelled_as_agreed(repository: Repository) -> Iterator[str]:
    """A fence is flush left and of a language of ours, in pages and in docstrings; a block is one of ours."""
    for path in repository.pages:
        yield from complaints(repository.name(path), path.read_text("utf-8"))
    for path in repository.modules:
        for line, _, doc in docstrings(path.read_text("utf-8")):
            yield from complaints(f"{repository.name(path)}:{line}", doc)


def blocks_that_start_afresh_say_so(repository: Repository) -> Iterator[str]:
    """A block that starts afresh below others has `.fresh`: a reader who copies it does not need those above."""
    texts = [(repository.name(path), path.read_text("utf-8")) for path in repository.pages]
    for path in repository.modules:
        found = docstrings(path.read_text("utf-8"))
        texts += [(f"{repository.name(path)}:{line}", doc) for line, _, doc in found]
    for name, text in texts:
        blocks = [fence for fence in fences(text) if fence.info.strip() in PYTHON_FENCES]
        for number, block in enumerate(blocks):
            wanted = number > 0 and "continuation" not in block.info
            if (".fresh" in block.info) != wanted:
                fix = f"What to do: {'write' if wanted else 'take out'} `.fresh`, as in ```{{.python .fresh}}."
                yield f"{name}:{lines_of(block)[0] + 1}: this block starts afresh below others, or not. {fix}"


def outputs_belong_to_blocks(repository: Repository) -> Iterator[str]:
    """An output stands below a block that prints it."""
    for path in repository.pages:
        for line in orphans(path):
            fix = "What to do: put it below the block that prints it."
            yield f"{repository.name(path)}:{line}: this output belongs to no block. {fix}"


def outputs_show_something(repository: Repository) -> Iterator[str]:
    """An output is more than the sign for any text."""
    for block in repository.blocks:
        for output in (output for output in (block.output, block.older) if output):
            if not output.text.replace("…", "").strip():
                yield f"{block}: its output shows nothing. What to do: leave less to `…`, which stands for any text."


def outputs_of_releases_differ(repository: Repository) -> Iterator[str]:
    """What the older release prints is shown only where it is something else."""
    for block in repository.blocks:
        if block.output and block.older and block.output.text == block.older.text:
            yield f"{block}: Flax {OLDER} prints the same. What to do: take the fold below the output out."


def complaints(name: str, text: str) -> Iterator[str]:
    """Yield a message for each fence of a text that is indented or not one of ours, and for each foreign block."""
    known = PYTHON_FENCES | OTHER_FENCES
    for line, before, info in fence_lines(text):
        if before:
            fix = "What to do: start it at the first column; a note is `/// note | Title` … `///`."
            yield f"{name}:{line}: this fence is indented. {fix}"
        if info not in known:
            fix = f"What to do: write one of {', '.join(sorted(known))}."
            yield f"{name}:{line}: the info string {info!r} is not one of ours. {fix}"
    outside = re.sub(r"^```.*?^```", lambda fence: "\n" * fence[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    for line, words in enumerate(map(str.split, outside.splitlines()), start=1):
        of_another_kind = words[:1] in (["!!!"], ["???"], ["???+"], ["==="])
        if of_another_kind or (words[:1] in (["///"], ["////"]) and words[1:2] and words[1] not in BLOCKS):
            fix = f"What to do: write `/// TYPE | Title` with one of {', '.join(BLOCKS)}."
            yield f"{name}:{line}: {' '.join(words[:2])} is no block of ours. {fix}"
