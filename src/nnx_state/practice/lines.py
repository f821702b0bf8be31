"""The line of an attempt that a finding is about."""

import ast
import functools


def first_line(source: str, name: str, within: str = "") -> int | None:
    """Return the first line that defines or writes a name or an attribute of that name, counted from 1.

    Args:
        source: the text of the attempt.
        name: such as `MultiParam`, `multi_param_forward` or `count`.
        within: the class or function to look in, anywhere by default.
    """
    tree = _parsed(source)
    places = [node for node in ast.walk(tree) if getattr(node, "name", "") == within] if within else [tree]
    statements = [node for place in places for node in ast.walk(place) if isinstance(node, ast.stmt)]
    return min((node.lineno for node in statements if name in _written(node)), default=None)


@functools.lru_cache(maxsize=1)  # the checks ask for many lines of one attempt
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


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
