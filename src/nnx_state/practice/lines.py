"""The line of an attempt that a finding is about."""

import ast
import functools
import traceback
from pathlib import Path


def first_line(source: str, name: str, within: str = "") -> int | None:
    """Return the first line that defines or writes a name or an attribute of that name, counted from 1.

    Args:
        source: the text of the attempt.
        name: such as `MultiParam`, `multi_param_forward` or `count`.
        within: the class or function to look in, anywhere by default.
    """
    lines = [line for line, written, around in _statements(source) if name in written and within in around]
    return min(lines, default=None)


def raising_line(path: Path, error: BaseException) -> int | None:
    """Return the last line of a file that an exception passed through, if it passed through one."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), None)


def unfinished_line(tree: ast.Module) -> int | None:
    """Return the line of the first function whose body is `...` or `pass` and nothing else but a docstring."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return min((node.lineno for node in functions if all(map(_says_nothing, node.body))), default=None)


@functools.lru_cache(maxsize=4)  # of one attempt the line of many names is asked for
def _statements(source: str) -> list[tuple[int, set[str], frozenset[str]]]:
    """Return of each statement its line, the names that it writes, and the classes and functions around it."""
    found = []
    nodes: list[tuple[ast.AST, frozenset[str]]] = [(ast.parse(source), frozenset())]
    for node, outside in nodes:  # it grows while it is read
        around = outside | {getattr(node, "name", "")}  # the file itself is without a name
        if isinstance(node, ast.stmt):
            found.append((node.lineno, _written(node), around))
        nodes += [(child, around) for child in ast.iter_child_nodes(node)]
    return found


def _says_nothing(statement: ast.stmt) -> bool:
    """Tell whether a statement is `...`, a docstring or `pass`."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
    return False


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
