"""Note the line at which each attribute of a module is really assigned, while the module is built."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from flax import nnx

Line = tuple[str, int]  # a file, and a line of it


class Watch:
    """What was assigned to attributes of modules, and where."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, str], Line] = {}  # by the id of the object, which lives as long as the model

    @contextlib.contextmanager
    def over(self) -> Iterator[None]:
        """Watch all assignments to modules in a block."""
        assign: Callable[[Any, str, Any], None] = nnx.Pytree.__setattr__

        def noting(module: Any, name: str, value: Any) -> None:
            caller = sys._getframe(1)
            self._lines[id(module), name] = (caller.f_code.co_filename, caller.f_lineno)
            assign(module, name, value)

        nnx.Pytree.__setattr__ = noting  # type: ignore[method-assign]
        try:
            yield
        finally:
            nnx.Pytree.__setattr__ = assign  # type: ignore[method-assign]

    def line(self, model: Any, path: str) -> Line | None:
        """Return where the innermost object around a value that is none of Flax was given what holds the value."""
        nodes = {tuple(map(str, parts)): node for parts, node in nnx.iter_graph(model)}
        parts = tuple(path.split("."))
        for length in reversed(range(len(parts))):
            parent = nodes.get(parts[:length])
            if isinstance(parent, nnx.Pytree) and not type(parent).__module__.startswith("flax."):
                return self._lines.get((id(parent), parts[length]))
        return None
