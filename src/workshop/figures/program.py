"""The program of a lesson, of which a figure takes what it draws."""

import ast
import contextlib
import io
from pathlib import Path
from types import SimpleNamespace

from workshop.pages import Block, read


class Program:
    """The blocks of a page.

    Args:
        page: the Markdown file.
    """

    def __init__(self, page: Path) -> None:
        self._blocks = [block for block in read(page) if not (block.raises or block.torch)]

    def code(self) -> str:
        """Return all of it."""
        return "\n".join(block.code for block in self._blocks)

    def names(self, *wanted: str) -> SimpleNamespace:
        """Run the first block that binds each of these names, and return what is bound then.

        Of the blocks before them the imports are run.

        Raises:
            ValueError: If no block binds a name.
        """
        found = {self._blocks.index(self._binding(name)) for name in wanted}
        namespace = {"__name__": "__main__"}
        for number, block in enumerate(self._blocks[: max(found) + 1]):
            body = ast.parse(block.code).body
            if number not in found:
                body = [statement for statement in body if isinstance(statement, ast.Import | ast.ImportFrom)]
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(ast.Module(body, []), str(block), "exec"), namespace)
        return SimpleNamespace(**namespace)

    def _binding(self, name: str) -> Block:
        for block in self._blocks:
            if any(name in _bound(statement) for statement in ast.parse(block.code).body):
                return block
        raise ValueError(f"no block of the page binds {name}: name what the page has now.")


def _bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
