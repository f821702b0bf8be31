"""Which tests execute which lines of the audit: one run of them all under `coverage` says it for each of its modules.

Against a mutant, only the tests that execute the statement that it stands in can fail.
They alone are run, the quickest first.
A statement that runs when its module is imported, such as a constant or a decorator, has all tests that execute any
line of the module, and those that execute none of the audit: they look at what importing has made.
The blocks of a page build on each other, so that of a page all are run.
"""

import ast
import importlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from coverage import Coverage

PACKAGE = Path(__file__).parents[2] / "nnx_state"
IMPORT = ""  # the context of what runs before the first test


def audited() -> list[str]:
    """Return the modules of the audit, such as `audit/lines`; they are changed where they are named alone."""
    files = (PACKAGE / "audit").rglob("*.py")
    return sorted(file.relative_to(PACKAGE).with_suffix("").as_posix() for file in files if file.stem != "__init__")


@dataclass(frozen=True)
class Reached:
    """What a run of the tests has told.

    Attributes:
        seconds: how long each test takes, by its name for pytest; a page is one test.
        lines: the tests that execute each line, by module, such as `audit/lines`.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, set[str]]]

    @classmethod
    def read(cls, file: Path) -> "Reached":
        """Read what a recorder has written."""
        told = json.loads(file.read_text("utf-8"))
        lines = {
            module: {int(line): set(tests) for line, tests in each.items()} for module, each in told["lines"].items()
        }
        return cls(told["seconds"], lines)

    def tests(self, module: str, source: str, line: int) -> list[str]:
        """Return the tests that can notice a change in a line, the quickest first."""
        lines = self.lines.get(module, {})
        found = {test for one in statement(source, line) for test in lines.get(one, ())}
        if IMPORT in found:
            elsewhere = {test for each in self.lines.values() for tests in each.values() for test in tests}
            found = {test for tests in lines.values() for test in tests} | (self.seconds.keys() - elsewhere)
        return sorted(found - {IMPORT}, key=lambda test: (self.seconds[test], test))


def statement(source: str, line: int) -> range:
    """Return the lines of the innermost statement around a line; its head alone, where the line is in the head."""
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    around = [node for node in statements if _first(node) <= line <= (node.end_lineno or 0)]
    inner = max(around, key=lambda node: (_first(node), -(node.end_lineno or 0)))
    body = getattr(inner, "body", None)
    last = _first(body[0]) - 1 if body and line < _first(body[0]) else inner.end_lineno or 0
    return range(_first(inner), last + 1)


def _first(node: ast.stmt) -> int:
    """Return the first line of a statement, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


class Recorder:
    """A plugin of pytest that writes, at the end of a run, which tests execute which lines.

    Args:
        package: the folder of the package, from which its modules are named.
        modules: those to watch.
        file: where to write.
    """

    def __init__(self, package: Path, modules: list[str], file: Path) -> None:
        self.package, self.modules, self.file = package, modules, file
        self.seconds: dict[str, float] = defaultdict(float)
        self.coverage = Coverage(data_file=None, config_file=False, include=[f"{package}/audit/*"])
        self.coverage.set_option("run:core", "ctrace")  # the tracer that newer Pythons have knows no contexts

    def pytest_sessionstart(self) -> None:
        """Import all modules first, so that no test is taken for one that executes what importing does."""
        self.coverage.start()
        for module in self.modules:
            importlib.import_module(f"nnx_state.{module.replace('/', '.')}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Note what a test executes, and how long it takes."""
        test = item.nodeid if item.path.suffix == ".py" else item.nodeid.partition("::")[0]
        for module in self.modules:  # what an earlier test has left in a cache would not be executed again
            for value in vars(sys.modules[f"nnx_state.{module.replace('/', '.')}"]).values():
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()
        self.coverage.switch_context(test)
        start = time.monotonic()
        try:
            return (yield)
        finally:
            self.seconds[test] += time.monotonic() - start

    def pytest_sessionfinish(self) -> None:
        """Write it."""
        self.coverage.stop()
        data = self.coverage.get_data()
        files = {module: str(self.package / f"{module}.py") for module in self.modules}
        lines = {module: data.contexts_by_lineno(file) for module, file in files.items()}
        self.file.write_text(json.dumps({"seconds": self.seconds, "lines": lines}), "utf-8")
