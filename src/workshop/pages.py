"""Read the code blocks of a page: Markdown, the docstrings of a module, or a notebook in percent format."""

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import jupytext
from markdown_it import MarkdownIt
from markdown_it.token import Token

PYTHON_FENCES = {
    "python",
    "{.python continuation}",
    "{.python .fresh}",
    "{.python .raises}",
    "{.python .raises .fresh}",
    "{.python continuation .raises}",
    "{.python .torch}",
    "{.python continuation .torch}",
}
OUTPUT_FENCE = "{.text .output}"
# What Python 3.11 gets at most; pages show what the newest release prints, and this one's output folded below it.
OLDER = "0.12.8"
OLDER_FENCE = "{.text .output .older}"
OLDER_FOLD = f"/// details | Flax {OLDER} prints"
OTHER_FENCES = {OUTPUT_FENCE, OLDER_FENCE, "text", "sh"}


@dataclass(frozen=True)
class Output:
    """The fence below a block: what the block printed.

    Attributes:
        text: the lines between the fences.
        first: the line of the opening fence, counted from 1.
        last: the line of the closing fence, counted from 1.
    """

    text: str
    first: int
    last: int


@dataclass(frozen=True)
class Block:
    """One block of code on a page.

    Attributes:
        path: the file that holds it.
        line: the line of its first line of code, counted from 1.
        last: the line of its closing fence, counted from 1.
        indent: the spaces before each of its lines; only docstrings have any.
        code: its code, not indented.
        continues: it goes on in the namespace of the block before it.
        raises: it is a proved mistake and must raise.
        torch: it needs PyTorch, an extra of this package that not every environment has.
        output: what the page says it prints.
        older: what the page says it prints on the older release, where that is something else.
        compared: its output is held against the page; a notebook stores none.
    """

    path: Path
    line: int
    last: int
    indent: str
    code: str
    continues: bool = False
    raises: bool = False
    torch: bool = False
    output: Output | None = None
    older: Output | None = None
    compared: bool = True

    def __str__(self) -> str:
        """Return ``path:line`` the way that editors open it."""
        return f"{relative(self.path)}:{self.line}"


def relative(path: Path) -> str:
    """Return the path as seen from the current directory, with forward slashes."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def chain(blocks: tuple[Block, ...], block: Block) -> tuple[Block, ...]:
    """Return the blocks whose namespace `block` goes on in, and `block` itself as the last."""
    end = blocks.index(block)
    start = next(i for i in range(end, -1, -1) if i == 0 or not blocks[i].continues)
    return blocks[start : end + 1]


def read(path: Path) -> tuple[Block, ...]:
    """Return the Python blocks of a page in reading order.

    Args:
        path: a Markdown file, a module of the package (its docstrings are read), or a notebook in percent format.
    """
    return _read(path, path.stat().st_mtime_ns)


@functools.cache
def _read(path: Path, _changed: int) -> tuple[Block, ...]:
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        return tuple(_blocks(path, text, first_line=1, indent=""))
    if is_notebook(path):
        return tuple(_cells(path, text))
    found = docstrings(text)
    return tuple(block for line, indent, doc in found for block in _blocks(path, doc, line, indent))


def is_notebook(path: Path) -> bool:
    """Tell whether a file is a notebook of the site."""
    return path.suffix == ".py" and path.parent.name == "notebooks"


def docstrings(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, indentation and cleaned text of every docstring in a module's source."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and (doc := ast.get_docstring(node, clean=False)) is not None:
            literal = node.body[0]
            skipped = len(doc) - len(doc.lstrip("\n "))
            yield literal.lineno + doc[:skipped].count("\n"), " " * literal.col_offset, inspect.cleandoc(doc)


@functools.cache
def fences(text: str) -> tuple[Token, ...]:
    """Return the fences of a Markdown text as a parser sees them."""
    return tuple(token for token in MarkdownIt("commonmark").parse(text) if token.type == "fence")


def lines_of(fence: Token) -> list[int]:
    """Return the lines of a fence, counted from 0: that of its opening, and the one after its closing."""
    if fence.map is None:
        raise ValueError("a fence without a place: markdown-it gives one to every block.")
    return fence.map


def _blocks(path: Path, text: str, first_line: int, indent: str) -> Iterator[Block]:
    found, lines = fences(text), text.splitlines()
    started = False
    for fence, second, third in zip(found, [*found[1:], None], [*found[2:], None, None], strict=False):
        if fence.info.strip() not in PYTHON_FENCES:
            continue
        output = _below(fence, second, OUTPUT_FENCE, "", lines, first_line)
        older = _below(second, third, OLDER_FENCE, OLDER_FOLD, lines, first_line) if output and second else None
        yield Block(
            path=path,
            line=first_line + lines_of(fence)[0] + 1,
            last=first_line + lines_of(fence)[1] - 1,
            indent=indent,
            code=fence.content,
            continues=started and "continuation" in fence.info,
            raises=".raises" in fence.info,
            torch=".torch" in fence.info,
            output=output,
            older=older,
        )
        started = True


def _below(
    above: Token, fence: Token | None, kind: str, between: str, lines: list[str], first_line: int
) -> Output | None:
    """Return a fence as an output if it is of a kind, and nothing but a line like `between` stands above it."""
    if fence is None or fence.info.strip() != kind:
        return None
    first, last = lines_of(fence)
    if "".join(lines[lines_of(above)[1] : first]).strip() != between:
        return None
    return Output(fence.content, first_line + first, first_line + last - 1)


def _cells(path: Path, text: str) -> Iterator[Block]:
    line = 0
    first = Block(path, 0, 0, "", "", compared=False)
    for cell in jupytext.reads(text, fmt="py:percent").cells:
        if cell.cell_type != "code":
            continue
        line = _line_of(text, cell.source, after=line)
        yield replace(first, line=line, last=line + cell.source.count("\n"), code=cell.source, continues=True)


def _line_of(text: str, code: str, after: int) -> int:
    """Return the line, counted from 1 and past `after`, on which `code` starts in `text`."""
    lines, wanted = text.splitlines(), code.splitlines()
    return next(i + 1 for i in range(after, len(lines)) if lines[i : i + len(wanted)] == wanted)


def count(path: Path) -> int:
    """Return how many fences (or cells) of any language a page, a module's docstrings or a notebook holds."""
    text = path.read_text("utf-8")
    if is_notebook(path):
        return len(read(path))
    texts = [text] if path.suffix == ".md" else [doc for *_, doc in docstrings(text)]
    return sum(len(fences(part)) for part in texts)


def orphans(path: Path) -> list[int]:
    """Return the lines of the output fences of a Markdown page that belong to no Python block."""
    kinds = {OUTPUT_FENCE, OLDER_FENCE}
    shown = {lines_of(fence)[0] + 1 for fence in fences(path.read_text("utf-8")) if fence.info.strip() in kinds}
    return sorted(shown - {one.first for block in read(path) for one in (block.output, block.older) if one})


FENCE = re.compile(r"^(?P<before>[\s>]*(?:[-*+]\s+|\d+[.)]\s+)?)(?P<mark>`{3,}|~{3,})\s*(?P<info>.*?)\s*$")


def fence_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, what stands before it, and info string of every opening fence.

    This looks at lines alone, wherever they stand: it finds the fences that a Markdown parser takes for something else.
    """
    closing = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not (found := FENCE.match(line)):
            continue
        if closing:
            if found["mark"].startswith(closing) and not found["info"]:
                closing = ""
        else:
            closing = found["mark"]
            yield number, found["before"], found["info"]


def prose(text: str) -> str:
    """Return a Markdown text without its fences and inline code."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)
