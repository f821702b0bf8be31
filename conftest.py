"""The hooks through which Markdown, docstrings and notebooks are collected, run and counted.

The plugin's options stand in pyproject.toml; how a page is read, run and counted stands in tests/harness.
"""

import importlib.metadata
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_markdown_docs._runners import get_runner, register_runner
from pytest_markdown_docs.definitions import FenceTestDefinition
from pytest_markdown_docs.plugin import MarkdownDocstringCodeModule, MarkdownInlinePythonItem

from harness import census
from harness.order import in_order
from harness.runner import WAITS, PageRunner, rewrite
from harness.site import BuildError, built_site
from workshop.pages import OLDER, is_notebook, read, relative

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # the pages show what a CPU prints
os.environ.setdefault("MPLBACKEND", "agg")
# What was compiled once is not compiled again: by another process of this run, by a notebook, by the next run.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).with_name(".cache") / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# A process that meets a half-written entry compiles for itself: its warning is no output of what runs there.
os.environ.setdefault("PYTHONWARNINGS", "ignore:Error reading persistent compilation cache entry")

pytest_plugins = ["pytester"]
register_runner(default=True)(PageRunner)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option behind ``python noxfile.py outputs``, and one by which tests of the harness choose a release."""
    parser.addoption("--as-on", choices=["older", "newest"], help="take outputs for those of this release of Flax")
    parser.addoption("--rewrite-outputs", action="store_true", help="write what each block printed into its page")


def pytest_configure(config: pytest.Config) -> None:
    """Tell the runner which outputs count, whether they are written and what captures them, and start the count."""
    runner = get_runner(None)
    runner.rewriting = config.option.rewrite_outputs
    runner.capturing = config.pluginmanager.getplugin("capturemanager")
    if config.option.as_on:
        runner.on_older = config.option.as_on == "older"
    config.pluginmanager.register(Census(config), "census")


class Notebook(pytest.File):
    """Collects the code cells of a notebook, so that they run in the tests too, where warnings are errors."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one test for each code cell."""
        for number, cell in enumerate(read(self.path), start=1):
            test = FenceTestDefinition(cell.code, (), cell.line - 1, self.path, None)
            name = f"[Cell#{number}][line:{cell.line - 1}]"
            yield MarkdownInlinePythonItem.from_parent(self, name=name, test_definition=test)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Iterator[list[pytest.Collector]]:
    """Collect notebooks as such, and docstrings from packages alone."""
    collectors = yield
    if file_path.name == "statement.md":
        return []  # a page is made of it, and runs
    if is_notebook(file_path):
        return [Notebook.from_parent(parent, path=file_path)]
    if file_path.with_name("__init__.py").exists():
        return collectors
    return [found for found in collectors if not isinstance(found, MarkdownDocstringCodeModule)]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the longest tests start first, and the blocks of a page follow each other."""
    items[:] = in_order(items, config.rootpath)


class Census:
    """Counts what ran; at the end of a run of everything, holds it against what a reader of the built site sees."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.executed: Counter[Path] = Counter()
        self.waiting: Counter[Path] = Counter()
        self.skipped: list[str] = []
        self.complaints: list[str] | None = None  # not compared yet

    def of_everything(self) -> bool:
        """Tell whether this process leads a run of all tests."""
        option = self.config.option
        chosen = option.keyword or option.markexpr or option.deselect or option.collectonly or option.rewrite_outputs
        from_settings = self.config.args_source is pytest.Config.ArgsSource.TESTPATHS
        return from_settings and not chosen and not hasattr(self.config, "workerinput")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a block that ran or waits for an extra, and name any other test that was skipped."""
        path = self.config.rootpath / report.nodeid.split("::")[0]
        if report.skipped and WAITS in str(report.longrepr):
            self.waiting[path] += 1
        elif report.skipped:
            self.skipped.append(report.nodeid)
        if report.when == "call" and report.passed and "markdown-docs" in report.keywords:
            self.executed[path] += 1

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a run in which everything passed, but not everything ran."""
        if exitstatus != pytest.ExitCode.OK or not self.of_everything():
            return
        docs = self.config.rootpath / "docs"
        folder = self.config._tmp_path_factory.getbasetemp()  # a plugin has no public way to it; a fixture has
        try:
            site = built_site(self.config, folder)
            self.complaints = census.complaints(docs, site, self.executed + self.waiting)
        except BuildError as error:
            self.complaints = [str(error)]
        self.complaints += [f"{name}: it was skipped. What to do: let it run or let it fail." for name in self.skipped]
        if self.complaints:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the count, or what is wrong with it."""
        if self.complaints:
            terminalreporter.section("census", red=True)
            for complaint in self.complaints:
                terminalreporter.line(complaint)
        elif self.complaints == []:
            blocks, pages = self.executed.total(), len(self.executed)
            waiting = self.waiting.total()
            missing = f", but for {waiting} that wait for PyTorch: `python noxfile.py torch`" if waiting else ""
            release = importlib.metadata.version("flax")
            older = [str(block) for page in sorted(self.executed) for block in read(page) if block.older]
            terminalreporter.line(f"census: {blocks} blocks of {pages} files ran, as many as readers see{missing}")
            folded = f"{len(older)} print otherwise on Flax {OLDER} ({', '.join(older)})" if older else ""
            terminalreporter.line(f"census: this was Flax {release}; {folded or 'no page shows another'}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outputs that ``python noxfile.py outputs`` found to be different."""
    runner = get_runner(None)
    for path, changes in runner.rewrites.items():
        rewrite(path, changes, runner.on_older)
        print(f"\n{relative(path)}: {len(changes)} outputs written")
