"""The mutation test is held to its word: it changes what it should, and tells a caught change from one that is not."""

import ast
import multiprocessing
from pathlib import Path

import pytest

from nnx_state.practice.exercises import exercise
from workshop.mutation import copies, drift, grading
from workshop.mutation.mutants import mutants
from workshop.mutation.reached import IMPORT, Reached, statement

SOURCE = '''\
"""A module."""
from typing import TypeVar

__all__ = ["scale"]
T = TypeVar("T", bound=int)


def scale(x: float, times: int = 2) -> float:
    """Return a multiple, the second one by default."""
    if not x >= 0:
        raise ValueError(f"x must not be negative, got {x}.")
    return x * times
'''


def test_every_change_is_one_of_the_code():
    assert [(mutant.line, str(mutant)) for mutant in mutants(SOURCE)] == [
        (8, "2  ->  (3)"),
        (10, "not x >= 0  ->  (x >= 0)"),
        (10, "x >= 0  ->  (x > 0)"),
        (10, "0  ->  (1)"),
        (11, 'raise ValueError(f"x must not be negative, got {x}.")  ->  pass'),
        (11, "f\"x must not be negative, got {x}.\"  ->  ('XX')"),
        (12, "x * times  ->  None"),
        (12, "x * times  ->  (x / times)"),
    ]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("a < b", ["(a <= b)"]),
        ("a is None", ["(a is not None)"]),
        ("a < b < c", ["(a <= b < c)"]),
        ("a and b", ["(a or b)"]),
        ("-a", ["(a)"]),
        ("a | b", ["(a & b)"]),
        ("b if a else c", ["(b if not a else c)"]),
        ("True", ["(False)"]),
        ("'é' + b", ["('é' - b)", "('XXé')"]),
        ("[x for x in a if x]", ["([x for x in a])"]),
        ("f(a, b=c)", ["pass", "(f(a))"]),
        ("nnx.Param(a)", ["pass", "(nnx.Variable)"]),
        ("jnp.zeros(a)", ["pass", "(jnp.ones)"]),
        ("any(a)", ["pass", "(all)"]),
        ("a.b = c", ["pass"]),
        ("a += b", ["pass", "a -= b"]),
        ("a = b", []),
        ("import a", []),
        ("a: int = b", []),
        ("while a: b", ["(not (a))"]),
        ("@a\ndef f(): b", ["(lambda decorated: decorated)"]),
    ],
)
def test_the_changes_of(code, changes):
    found = list(mutants(code if code != "True" else "a = True"))  # a constant alone is a docstring
    assert sorted(mutant.after for mutant in found) == sorted(changes)
    for mutant in found:
        ast.parse(mutant.source)


def test_the_modules_of_the_lessons_are_changed_and_what_they_import():
    assert {"linear", "vmap_scan", "_checks"} <= set(drift.lessons())
    assert {"cli", "_worker", "__init__"}.isdisjoint(drift.lessons())


def test_a_module_is_watched_by_the_pages_that_reach_it():
    names = {path.relative_to(drift.ROOT).as_posix() for path in drift.witnesses("linear")}
    assert {"README.md", "docs/lessons/linear.md", "docs/exercises/linear.md", "src/nnx_state/linear.py"} <= names
    assert "docs/lessons/split-merge.md" in names  # by way of MultiParam
    assert "docs/exercises/filters.md" not in {
        path.relative_to(drift.ROOT).as_posix() for path in drift.witnesses("counters")
    }


def test_a_module_of_the_audit_is_watched_by_tests_that_run_in_this_process_and_by_the_pages_of_the_rules():
    assert {"audit/lines", "audit/rules/calls"} <= set(drift.audited())
    names = {path.relative_to(drift.ROOT).as_posix() for path in drift.audit_witnesses()}
    assert {"tests/audit/test_lines.py", "docs/audit/eval-writes.md"} <= names
    assert "tests/audit/test_audit_command.py" not in names  # it starts a process for all that it does


def test_a_line_is_watched_by_the_tests_that_execute_its_statement_the_quickest_first():
    lines = {8: {IMPORT}, 10: {"slow", "quick"}, 11: {"quick"}, 12: {"slow"}}
    seconds = {"slow": 2.0, "quick": 1.0, "other": 0.5, "looks": 0.1}
    reached = Reached(seconds, {"module": lines, "another": {1: {"other"}}})
    assert reached.tests("module", SOURCE, 10) == ["quick", "slow"]
    assert reached.tests("module", SOURCE, 11) == ["quick"]
    assert reached.tests("module", SOURCE, 8) == ["looks", "quick", "slow"]  # as it is imported
    assert reached.tests("module", SOURCE, 5) == []


@pytest.mark.parametrize(
    ("line", "lines"), [(1, [1, 2]), (2, [1, 2]), (3, [3, 4]), (4, [3, 4]), (5, [5, 6]), (6, [5, 6]), (7, [7])]
)
def test_a_statement_with_a_body_is_its_head(line, lines):
    code = "@a\ndef f(b=1):\n    if (b or\n            c):\n        d(\n            e)\n    return b\n"
    assert list(statement(code, line)) == lines


def test_which_tests_execute_a_line_is_recorded(pytester, monkeypatch):
    package = pytester.mkpydir("nnx_state")
    (package / "audit").mkdir()
    (package / "audit" / "small.py").write_text("def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    pytester.makepyfile(
        """
        from nnx_state.audit.small import one, two

        def test_one():
            assert one() == 1

        def test_both():
            assert one() + two() == 3
        """
    )
    record = pytester.path / "record.json"
    pytester.makeconftest(
        f"""
        from pathlib import Path
        from workshop.mutation.reached import Recorder

        def pytest_configure(config):
            config.pluginmanager.register(Recorder(Path({str(package)!r}), ["audit/small"], Path({str(record)!r})))
        """
    )
    name = "test_which_tests_execute_a_line_is_recorded.py"
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=2)
    reached = Reached.read(record)
    assert reached.seconds.keys() == {f"{name}::test_one", f"{name}::test_both"}
    assert reached.lines["audit/small"] == {
        1: {IMPORT},
        2: {f"{name}::test_one", f"{name}::test_both"},
        5: {IMPORT},
        6: {f"{name}::test_both"},
    }


@pytest.mark.parametrize(
    ("right", "wrong", "survived"),
    [
        ("return x @ self.kernel", "return x @ self.kernel", True),
        ("return x @ self.kernel", "return -x @ self.kernel", False),
    ],
)
def test_a_change_is_caught_by_the_pages_alone(right, wrong, survived):
    multiprocessing.get_context("forkserver").set_forkserver_preload([*copies.PRELOADED, "nnx_state"])
    source = Path(drift.PACKAGE, "linear.py").read_text("utf-8")
    assert right in source
    assert copies.survives("linear", source.replace(right, wrong), ["docs/lessons/linear.md"])[0] is survived


def test_every_equivalent_mutant_is_one_of_the_package():
    for module, code, change in drift.explained():
        source = Path(drift.PACKAGE, f"{module}.py").read_text("utf-8")
        lines = source.splitlines()
        known = {(lines[mutant.line - 1].strip(), str(mutant)) for mutant in mutants(source)}
        assert (code, change) in known, "What to do: take it out of equivalent-mutants.toml, or mend it."


def test_every_equivalent_mutant_of_a_solution_is_one():
    for slug, code, change in grading.explained():
        one = exercise(slug)
        known = {grading.change_of(one, mutant) for mutant in mutants(one.solution)}
        assert (slug, code, change) in known, "What to do: take it out of equivalent-solutions.toml, or mend it."
