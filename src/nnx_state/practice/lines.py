"""The line of an attempt that a finding is about."""

import ast
import functools
import traceback
from dataclasses import dataclass
from pathlib import Path

BUILDERS = {"__init__", "__post_init__"}


@dataclass(frozen=True)
class Statement:
    """One statement of an attempt.

    Attributes:
        line: its line, counted from 1.
        written: the names that it defines or writes.
        rebound: the attributes into which it puts another object; a write into a Variable puts none there.
        around: the names of the classes and functions around it.
    """

    line: int
    written: frozenset[str]
    rebound: frozenset[str]
    around: frozenset[str]


def first_line(source: str, name: str, within: str = "") -> int | None:
    """Return the first line that defines or writes a name or an attribute of that name, counted from 1.

    Args:
        source: the text of the attempt.
        name: such as `MultiParam`, `multi_param_forward` or `count`.
        within: the class or function to look in, anywhere by default.
    """
    lines = [one.line for one in _statements(source) if name in one.written and within in one.around]
    return min(lines, default=None)


def making_line(source: str, name: str, within: str) -> int | None:
    """Return the last line in which the `__init__` of a class sets an attribute: what it holds comes from there.

    Args:
        source: the text of the attempt.
        name: the attribute.
        within: the class.
    """
    inits = [one for one in _statements(source) if within in one.around and BUILDERS & one.around]
    return max((one.line for one in inits if name in one.rebound), default=None)


def changing_line(source: str, name: str, replaces: bool = False) -> int | None:
    """Return the first line outside of any `__init__` that writes an attribute.

    Args:
        source: the text of the attempt.
        name: the attribute.
        replaces: whether the line has to put another object into it.
    """
    calls = [one for one in _statements(source) if not BUILDERS & one.around]
    return min((one.line for one in calls if name in (one.rebound if replaces else one.written)), default=None)


def raising_line(path: Path, error: BaseException) -> int | None:
    """Return the last line of a file that an exception passed through, if it passed through one."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), None)


def unfinished_line(tree: ast.Module) -> int | None:
    """Return the line of the first function whose body is `...` or `pass` and nothing else but a docstring."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return min((node.lineno for node in functions if all(map(_says_nothing, node.body))), default=None)


@functools.lru_cache(maxsize=4)  # of one attempt the line of many names is asked for
def _statements(source: str) -> list[Statement]:
    """Return each statement of a text."""
    found = []
    nodes: list[tuple[ast.AST, frozenset[str]]] = [(ast.parse(source), frozenset())]
    for node, outside in nodes:  # it grows while it is read
        around = outside | {getattr(node, "name", "")}  # the file itself is without a name
        if isinstance(node, ast.stmt):
            found.append(Statement(node.lineno, frozenset(_written(node)), frozenset(_rebound(node)), around))
        nodes += [(child, around) for child in ast.iter_child_nodes(node)]
    return found


def _says_nothing(statement: ast.stmt) -> bool:
    """Tell whether a statement is `...`, a docstring or `pass`."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
    return False


def _rebound(node: ast.stmt) -> set[str]:
    """Return the attributes into which a statement puts another object: `self.count = …`, not `self.count[...] = …`."""
    match node:
        case ast.Assign(targets=targets):
            bound = targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            bound = [target]
        case ast.Expr(value=ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str(name)), *_])):
            return {name}
        case _:
            return set()
    parts = [part for target in bound for part in getattr(target, "elts", [target])]
    return {part.attr for part in parts if isinstance(part, ast.Attribute)}


def _written(node: ast.stmt) -> set[str]:
    """Return the names that a statement defines or writes: `self.count[...] += 1` and `m.count.set_value(1)` too."""
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            written = targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            written = [target]
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Attribute() as changed))):
            written = [changed]
        case ast.Expr(value=ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=str(name)), *_])):
            return {name}
        case _:
            return set()
    parts = [part for target in written for part in ast.walk(target)]
    attributes = {part.attr for part in parts if isinstance(part, ast.Attribute)}
    return attributes | {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
