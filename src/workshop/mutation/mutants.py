"""Change a module in one place at a time, in every way that a slip of the hand might."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Place = ast.stmt | ast.expr  # what has a place in the source

COMPARED = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "ones": "zeros", "zeros": "ones"}
LABELS = {"Param": "Variable", "Variable": "Param", "BatchStat": "Param", "Cache": "Param"}  # attributes of nnx


@dataclass(frozen=True)
class Mutant:
    """A module with one change.

    Attributes:
        line: the line of the change, counted from 1.
        before: the code that was changed, on one line.
        after: what stands in its place.
        source: the whole changed module.
    """

    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        """Return the change as one line."""
        return f"{self.before}  ->  {self.after}"


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, from top to bottom.

    Docstrings, annotations, imports, `__all__` and type variables are left alone: no run reads them.
    """
    for node, after in _changes(ast.parse(source)):
        yield replaced(source, node, after)


def replaced(source: str, node: Place, after: str) -> Mutant:
    """Return a module with some code in the place of a node."""
    text = source.encode()
    starts = [0, *(place + 1 for place, byte in enumerate(text) if byte == ord("\n"))]
    first = starts[node.lineno - 1] + node.col_offset
    last = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
    mutated = text[:first] + after.encode() + text[last:]
    return Mutant(node.lineno, _one_line(text[first:last].decode()), _one_line(after), mutated.decode())


def _one_line(code: str) -> str:
    return " ".join(code.split())


def _changes(node: ast.AST) -> Iterator[tuple[Place, str]]:
    """Yield each node to replace, with the code that replaces it."""
    if isinstance(node, (ast.Import, ast.ImportFrom)) or _is_declaration(node):
        return
    if isinstance(node, ast.stmt):
        yield from _changed_statement(node)
    elif isinstance(node, ast.expr):
        for changed in _changed_expression(node):
            yield node, f"({ast.unparse(changed)})"
    if isinstance(node, ast.JoinedStr):  # its parts have no places of their own before Python 3.12
        return
    for name, field in ast.iter_fields(node):
        if name in {"annotation", "returns", "bases", "type_params"}:
            continue
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST) and not _is_docstring(child):
                yield from _changes(child)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_declaration(node: ast.AST) -> bool:
    """Tell the public names and the type variables, which no run reads."""
    if not isinstance(node, ast.Assign):
        return False
    makes_type = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in {"TypeVar", "ParamSpec"}
    return makes_type or ast.unparse(node.targets[0]) == "__all__"


def _changed_statement(node: ast.stmt) -> Iterator[tuple[Place, str]]:
    match node:
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "pass"
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield value, "None"
        case ast.If(test=test) | ast.While(test=test) if not _turns_around(test):
            yield test, f"(not ({ast.unparse(test)}))"
        case ast.FunctionDef(decorator_list=decorators) | ast.ClassDef(decorator_list=decorators):
            for decorator in decorators:
                yield decorator, "(lambda decorated: decorated)"
    if isinstance(node, ast.AugAssign) and type(node.op) in COMPUTED:
        changed = copy.copy(node)
        changed.op = COMPUTED[type(node.op)]()
        yield node, ast.unparse(changed)


def _turns_around(test: ast.expr) -> bool:
    """Tell whether the change of the expression itself is its opposite already."""
    opposites = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
    match test:
        case ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Compare(ops=[operator]):
            return isinstance(operator, opposites)
    return False


def _changed_expression(node: ast.expr) -> Iterator[ast.expr]:
    changed: Any = copy.copy(node)
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in COMPARED:
            changed.ops = [COMPARED[type(operator)]()]
            yield changed
        case ast.Compare(ops=[first, *others]):
            changed.ops = [COMPARED[type(first)](), *others]
            yield changed
        case ast.BinOp(op=operator) if type(operator) in COMPUTED:
            changed.op = COMPUTED[type(operator)]()
            yield changed
        case ast.BoolOp(op=operator):
            changed.op = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield changed
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.IfExp(test=test):
            changed.test = ast.UnaryOp(ast.Not(), test)
            yield changed
        case ast.ListComp(generators=generators) | ast.SetComp(generators=generators):
            yield from _unfiltered(node, generators)
        case ast.DictComp(generators=generators) | ast.GeneratorExp(generators=generators):
            yield from _unfiltered(node, generators)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=str(value)):
            yield ast.Constant(f"XX{value}")
        case ast.JoinedStr():
            yield ast.Constant("XX")
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield ast.Name(NAMES[name])
        case ast.Attribute(value=ast.Name(id="nnx"), attr=name) if name in LABELS:
            changed.attr = LABELS[name]
            yield changed
        case ast.Attribute(value=ast.Name(id="jnp"), attr=name) if name in NAMES:
            changed.attr = NAMES[name]
            yield changed
        case ast.Call(keywords=keywords):
            for keyword in keywords:
                without = copy.copy(node)
                without.keywords = [other for other in keywords if other is not keyword]
                yield without


def _unfiltered(node: ast.expr, generators: list[ast.comprehension]) -> Iterator[ast.expr]:
    """Yield a comprehension without its conditions, if it has any."""
    if any(generator.ifs for generator in generators):
        changed: Any = copy.copy(node)
        changed.generators = [ast.comprehension(g.target, g.iter, [], g.is_async) for g in generators]
        yield changed
