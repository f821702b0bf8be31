"""The code that readers see can be read, runs, is written as today's NNX is, and is formatted."""

import ast
import functools
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from workshop.census.repository import Repository


def code_can_be_read(repository: Repository) -> Iterator[str]:
    """Python can read every module, and then every block; the other checks rely on it."""
    codes = [(repository.name(path), path.read_text("utf-8")) for path in repository.modules]
    unread = [*_unread(codes)]
    yield from unread or _unread((str(block), block.code) for block in repository.blocks)


def _unread(codes: Iterable[tuple[str, str]]) -> Iterator[str]:
    for place, code in codes:
        try:
            parsed(code)
        except SyntaxError as error:
            yield f"{place}: Python cannot read it: {error.msg}. What to do: mend its line {error.lineno}."


def nothing_is_left_untested(repository: Repository) -> Iterator[str]:
    """No block is marked as one that is not to run."""
    for path in (*repository.pages, *repository.modules, *repository.notebooks):
        if "notest" in path.read_text("utf-8"):
            yield f"{repository.name(path)}: it holds `notest`. What to do: remove the word and let the block run."


def code_reads_no_value(repository: Repository) -> Iterator[str]:
    """No code reads the deprecated `variable.value`, but for blocks that prove what comes of it."""
    whole = [*repository.modules, *repository.notebooks]
    blocks = [block for block in repository.blocks if block.path not in repository.notebooks and not block.raises]
    codes = [(str(block), block.code) for block in blocks]
    codes += [(repository.name(path), path.read_text("utf-8")) for path in whole]
    for place, code in codes:
        if "value" in {node.attr for node in ast.walk(parsed(code)) if isinstance(node, ast.Attribute)}:
            yield f"{place}: it reads `.value`. What to do: write variable[...] instead of variable.value."


def code_of_pages_is_formatted(repository: Repository) -> Iterator[str]:
    """Ruff would leave every block as it is; it passes over fences with braces, so each is given to it as a file."""
    with tempfile.TemporaryDirectory() as folder:
        for block in repository.blocks:
            file = Path(folder, repository.name(block.path), f"line-{block.line}.py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{block.code.rstrip()}\n", "utf-8")
        command = [sys.executable, "-m", "ruff", "format", "--diff", "--isolated", "--line-length=80", "."]
        ruff = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ruff.returncode:
        yield f"some blocks are formatted otherwise than Ruff does. What to do: format them.\n{ruff.stdout}"


@functools.cache
def parsed(code: str) -> ast.Module:
    """Return the syntax tree of some code, which several checks look at."""
    return ast.parse(code)
