"""Run a page: one namespace per chain of blocks, every line once, every output compared."""

import contextlib
import difflib
import importlib.metadata
import importlib.util
import io
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_markdown_docs._runners import _Runner  # the plugin has no public name for it; its version is pinned
from pytest_markdown_docs.definitions import FenceTestDefinition

from workshop.pages import (
    OLDER,
    OLDER_FENCE,
    OLDER_FOLD,
    OUTPUT_FENCE,
    PYTHON_FENCES,
    Block,
    chain,
    read,
    relative,
)

ELISION = "…"
WAITS = "waits for PyTorch"  # the census counts the blocks that are skipped for this reason


class PageError(Exception):
    """A page says something that its run does not show."""


class PageRunner(_Runner):
    """The default runner of every snippet.

    It keeps the namespace of the chain that it ran last. The next block of the page runs its own lines only; a block
    that is selected alone runs its whole chain first.

    Attributes:
        on_older: outputs are held against those of the older release, where the page has them.
        rewriting: a different output is noted in `rewrites` and is no error.
        capturing: pytest's own capture, which shows what a block that fails wrote past Python, as XLA does.
        rewrites: the outputs to be written, by file.
    """

    def __init__(self) -> None:
        self.on_older = importlib.metadata.version("flax") == OLDER
        self.rewriting = False
        self.capturing: Any = None
        self.rewrites: dict[Path, dict[Block, str]] = {}
        self._done: tuple[Block, ...] = ()
        self._failed: Block | None = None
        self._namespace: dict[str, Any] = {}

    def runtest(self, test: FenceTestDefinition, args: dict[str, Any]) -> None:
        """Run the new lines of a block's chain."""
        wanted = chain(read(test.source_path), locate(test))
        if self._failed in wanted[:-1]:
            raise PageError(f"{wanted[-1]}: this block did not run, since {self._failed} failed before it.")
        if any(block.torch for block in wanted) and not importlib.util.find_spec("torch"):
            pytest.skip(WAITS)
        goes_on = self._done and self._done == wanted[: len(self._done)] and self._done != wanted
        if not goes_on:
            self._done, self._namespace = (), {**args, "__name__": "__main__"}
        for block in wanted[len(self._done) :]:
            self._failed = block
            with self._captured():
                printed = execute(block, self._namespace)
            self._check(block, printed)
            self._done += (block,)
        self._failed = None

    @contextlib.contextmanager
    def _captured(self) -> Iterator[None]:
        """Let pytest capture what a block writes to the file descriptors; the plugin switches that off for its run."""
        if self.capturing:
            self.capturing.resume_global_capture()
        try:
            yield
        finally:
            if self.capturing:
                self.capturing.suspend_global_capture()

    def _check(self, block: Block, printed: str) -> None:
        output = (block.older if self.on_older else None) or block.output
        shown = output.text if output else ""
        if not block.compared or matches(shown, printed):
            return
        if self.rewriting:
            self.rewrites.setdefault(block.path, {})[block] = printed
            return
        if not output:
            raise PageError(
                f"{block}: this block prints, but the page shows no output.\n\n{printed}\n"
                f"What to do: `python noxfile.py outputs` adds the fence ```{OUTPUT_FENCE} below the block."
            )
        texts = shown.splitlines(), printed.splitlines()
        diff = difflib.unified_diff(*texts, "the page shows", "the run printed", lineterm="")
        raise PageError(
            f"{relative(block.path)}:{output.first}: the output of this block has changed.\n\n"
            + "\n".join(diff)
            + "\n\nWhat to do: where the run is right, `python noxfile.py outputs` writes it into the page."
        )

    def repr_failure(
        self, test: FenceTestDefinition, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str:
        """Return a traceback that starts on the page and names its true file and lines."""
        if isinstance(excinfo.value, PageError):
            return str(excinfo.value)
        frames = traceback.extract_tb(excinfo.tb)
        on_page = [i for i, frame in enumerate(frames) if frame.filename == str(test.source_path)]
        place = f"{relative(test.source_path)}:{frames[on_page[-1]].lineno}" if on_page else f"{locate(test)}"
        shown = frames[on_page[0] :] if on_page else []  # a syntax error has its line in its own text
        return f"{place}: this block failed.\n\n{''.join(traceback.format_list(shown))}{excinfo.exconly()}"


def locate(test: FenceTestDefinition) -> Block:
    """Return the block of a page that a collected test stands for.

    The plugin counts the lines of a docstring from another start than those of a page: the nearest block with the
    same code is the one.
    """
    same = [block for block in read(test.source_path) if test.source.endswith(block.code)]
    if not same:
        raise PageError(
            f"{relative(test.source_path)}:{test.start_line}: this fence is not spelled in a way that is known.\n"
            f"What to do: write one of {', '.join(sorted(PYTHON_FENCES))}."
        )
    return min(same, key=lambda block: abs(block.line - 1 - test.start_line))


def execute(block: Block, namespace: dict[str, Any]) -> str:
    """Run a block in a namespace and return what it printed.

    Raises:
        PageError: the block should raise and did not.
    """
    code = compile("\n" * (block.line - 1) + block.code, str(block.path), "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            exec(code, namespace)
        except Exception as error:
            if not block.raises:
                raise
            vars(error).pop("__notes__", None)  # how JAX filters tracebacks is a setting, not part of the error
            print("".join(traceback.format_exception_only(error)))
        else:
            if block.raises:
                raise PageError(
                    f"{block}: this block is marked `.raises`, but it raised nothing.\n"
                    "What to do: show a mistake that is one today, or remove the mark and the text that calls it wrong."
                )
    return tidy(printed.getvalue())


def tidy(text: str) -> str:
    """Return text without blanks at the ends of its lines and without empty lines at its end."""
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


def matches(shown: str, printed: str) -> bool:
    """Tell whether a page shows what was printed; ``…`` stands for any text."""
    pattern = ".*".join(re.escape(part) for part in tidy(shown).split(ELISION))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


def rewrite(path: Path, changes: dict[Block, str], on_older: bool) -> None:
    """Write outputs into a page, below their blocks, and change nothing else; the file is replaced as a whole.

    On the older release, an output that the page shows stays, and what is printed there is folded below it.
    """
    lines = path.read_text("utf-8").splitlines(keepends=True)
    for block, printed in sorted(changes.items(), key=lambda change: change[0].line, reverse=True):
        shown = [*printed.splitlines(keepends=True), "```\n"] if printed else []
        if on_older and block.older:
            start, end, fence = block.older.first, block.older.last, shown
        elif on_older and block.output:
            start = end = block.output.last
            fence = ["\n", f"{OLDER_FOLD}\n", "\n", f"```{OLDER_FENCE}\n", *shown, "\n", "///\n"]
        else:
            start, end = block.last, block.output.last if block.output else block.last
            fence = ["\n", f"```{OUTPUT_FENCE}\n", *shown] if shown else []
        lines[start:end] = [block.indent + line if line.strip() else line for line in fence]
    written = path.with_suffix(f"{path.suffix}.new")
    written.write_text("".join(lines), "utf-8", newline="\n")
    written.replace(path)
