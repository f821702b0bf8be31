"""Find the line of a class that assigns an attribute, without running anything."""

import ast
import functools
import inspect
import linecache
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnx_state._hidden import is_foreign

MAKERS = ("__init__", "setup", "__post_init__")  # where a class usually assigns its attributes


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file.

    Attributes:
        file: its name, as Python knows it.
        line: counted from 1.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.shown}:{self.line}"

    @property
    def shown(self) -> str:
        """Return the file as a person names it: relative to where they are, if it is in there."""
        here = f"{Path.cwd()}{os.sep}"
        return self.file.removeprefix(here)

    @property
    def text(self) -> str:
        """Return what stands there."""
        return linecache.getline(self.file, self.line)


def assigned(owner: Any, name: str, value: Any, below: tuple[Any, ...] = ()) -> Place | None:
    """Return the line that assigns an attribute in the class of an object, or in the first of its bases that does.

    Args:
        owner: the object that has the attribute.
        name: the attribute.
        value: what it holds now: of several lines, one that can have made it is taken, first of all one whose block can
            have made the other attributes too, so that of two branches it is the one that ran.
        below: the path from there to the value that is asked for: where a list or an `nnx.Dict` is written out, the
            line of that item is taken.

    Returns:
        The place, or None where no line of a class assigns it: an object that was changed from outside.
    """
    for is_made in (False, True):  # a line with this name, or else a `setattr` that can make it
        for base in (base for base in type(owner).__mro__ if not is_foreign(base)):
            lines = [line for line in _assignments(base) if line.is_made is is_made]
            found = [line for line in lines if re.fullmatch(line.name, name)]
            likely = sorted(
                (line for line in found if _can_make(line, owner, value)), key=lambda line: _is_base(line, value)
            )
            seen = [line for line in likely if _has_run(line, owner)]
            possible = [line for line in found if not isinstance(_bare(line.made), ast.Constant)]
            for line in (*seen, *likely, *possible, *found):
                return Place(_file(base), _line_of_item(line, below))
    return None


@dataclass(frozen=True)
class _Line:
    name: str  # a regular expression
    number: int
    made: ast.expr | None
    is_made: bool = False  # whether the name is put together while the program runs
    me: str = ""  # what the method calls its object
    block: tuple["_Line", ...] = ()  # the assignments that run where this one does


def _line_of_item(line: _Line, below: tuple[Any, ...]) -> int:
    """Return the line of an item in `nnx.List([…])` or `nnx.Dict(…)` that is written out, or that of the assignment."""
    items: list[ast.expr] = []
    if isinstance(line.made, ast.Call):
        called, items = _called(line.made), line.made.args
        for keyword in line.made.keywords:
            if called == "Dict" and below[:1] == (keyword.arg,):
                return keyword.lineno
        if called == "List" and len(items) == 1:  # it takes what it is made of as one argument
            items = items[0].elts if isinstance(items[0], ast.List | ast.Tuple) else []
    item = next((part for part in below if isinstance(part, int)), None)
    is_written_out = not any(isinstance(one, ast.Starred) for one in items)
    return items[item].lineno if item is not None and is_written_out and item < len(items) else line.number


def _has_run(line: _Line, owner: Any) -> bool:
    """Tell whether an object holds what the block of a line assigns to its other attributes."""
    held = vars(owner)
    return all(_can_make(other, owner, held[other.name]) for other in line.block if other.name in held)


def _can_make(line: _Line, owner: Any, value: Any) -> bool:
    """Tell whether an assignment can have made a value: `None` cannot have made a Param."""
    made = _bare(line.made)
    if isinstance(made, ast.Constant):
        return isinstance(value, int | float | str | None) and bool(ast.literal_eval(made) == value)
    if isinstance(made, ast.Attribute) and _is_own(made, line.me):
        return getattr(owner, made.attr, value) is value
    if isinstance(made, ast.Call):
        called = _called(made)
        return not called[:1].isupper() or called in [base.__name__ for base in type(value).__mro__]
    return True


def _is_base(line: _Line, value: Any) -> bool:
    """Tell whether an assignment calls another class than that of a value: of two, it is the less likely."""
    made = _bare(line.made)
    return isinstance(made, ast.Call) and _called(made)[:1].isupper() and _called(made) != type(value).__name__


@functools.cache  # a class is read once, and asked for each of its objects
def _called(call: ast.Call) -> str:
    """Return the last name of what is called, such as `Param` of `nnx.Param(…)`."""
    return ast.unparse(call.func).rpartition(".")[2]


def _bare(made: ast.expr | None) -> ast.expr | None:
    """Return what stands in `nnx.data(…)` or `nnx.static(…)`, which hand on what they are given."""
    match made:
        case ast.Call(func=ast.Attribute(attr="data" | "static") | ast.Name(id="data" | "static"), args=[inner]):
            return inner
    return made


def _file(owner: type) -> str:
    return inspect.getsourcefile(owner) or ""


@functools.cache
def _assignments(owner: type) -> tuple[_Line, ...]:
    """Return each line of a class that assigns to an attribute of `self`, those that make an object first."""
    body = _body(owner)
    methods = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    made = [(method, line) for method in methods for line in _inside(method)]
    return (
        *(line for method, line in made if method.name in MAKERS),
        *(field for node in body for field in _fields(node)),
        *(line for method, line in made if method.name not in MAKERS),
        *(_Line(re.escape(method.name), method.lineno, None) for method in methods),  # for its default arguments
    )


def _inside(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[_Line]:
    """Yield what a method assigns to attributes of its object, each with the block around it."""
    me = _self(method)
    blocks: dict[ast.AST, tuple[_Line, ...]] = {}
    for node in ast.walk(method):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list):
                blocks |= dict.fromkeys(block, tuple(line for one in block for line in _of(one, me)))
        yield from (replace(line, block=blocks.get(node, ())) for line in _of(node, me))


def _fields(node: ast.stmt) -> list[_Line]:
    """Return the fields of a dataclass, and the attributes of a class, that a statement in its body makes."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), value=made):
            return [_Line(re.escape(name), node.lineno, made)]
        case ast.Assign(targets=targets, value=made):
            return [_Line(re.escape(one.id), node.lineno, made) for one in targets if isinstance(one, ast.Name)]
    return []


def _body(owner: type) -> list[ast.stmt]:
    """Return the statements of a class; none where its source cannot be had."""
    try:
        lines, first = inspect.getsourcelines(owner)
        tree = _tree(_file(owner))
    except (OSError, TypeError, SyntaxError):
        return []
    last = first + len(lines) - 1
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == owner.__name__ and first <= node.lineno <= last:
            return node.body
    return []


@functools.cache
def _tree(file: str) -> ast.Module:
    return ast.parse("".join(linecache.getlines(file)))


def _self(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = [*method.args.posonlyargs, *method.args.args]
    return arguments[0].arg if arguments else ""


def _of(node: ast.AST, owner: str) -> list[_Line]:
    """Return what a statement assigns to attributes of an object."""
    match node:
        case ast.Assign(targets=targets, value=made):
            parts = [part for target in targets for part in _parts(target, made)]
        case ast.AnnAssign(target=target, value=made) if made:
            parts = [(target, made)]
        case ast.Call(func=ast.Name(id="setattr"), args=[ast.Name(id=name), named, made]) if name == owner:
            return [_Line(_pattern(named), node.lineno, made, not isinstance(named, ast.Constant), owner)]
        case _:
            return []
    mine = [(part, made) for part, made in parts if _is_own(part, owner)]
    return [
        _Line(re.escape(part.attr), part.lineno, made, me=owner)
        for part, made in mine
        if isinstance(part, ast.Attribute)
    ]


def _pattern(named: ast.expr) -> str:
    """Return a regular expression for what an expression of text can give."""
    match named:
        case ast.Constant(value=value):
            return re.escape(str(value))
        case ast.JoinedStr(values=parts):
            return "".join(map(_pattern, parts))
    return ".*"


def _is_own(target: ast.expr, owner: str) -> bool:
    match target:
        case ast.Attribute(value=ast.Name(id=name)):
            return name == owner
    return False


def _parts(target: ast.expr, made: ast.expr) -> list[tuple[ast.expr, ast.expr | None]]:
    """Return each target of an assignment with what is assigned to it, as far as that stands there."""
    if not isinstance(target, ast.Tuple | ast.List):
        return [(target, made)]
    values: list[ast.expr | None] = [None] * len(target.elts)
    if isinstance(made, ast.Tuple | ast.List) and len(made.elts) == len(target.elts):
        values = [*made.elts]
    return list(zip(target.elts, values, strict=True))
