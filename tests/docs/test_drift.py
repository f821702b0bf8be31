"""The mutation test is held to its word: it changes what it should, and tells a caught change from one that is not."""

import ast
import multiprocessing
from pathlib import Path

import pytest

from nnx_state.practice.exercises import exercise
from workshop.mutation import drift, grading
from workshop.mutation.mutants import mutants

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


def test_a_module_of_the_audit_is_watched_by_its_tests_and_then_by_the_pages_of_the_rules():
    assert {"audit/lines", "audit/rules/calls"} <= set(drift.audited())
    names = [path.relative_to(drift.ROOT).as_posix() for path in drift.witnesses("audit/lines")]
    assert names[0] == "tests/audit/test_lines.py"
    assert {"tests/audit/test_faults.py", "docs/audit/eval-writes.md"} <= set(names)
    assert "tests/audit/test_audit_command.py" not in names  # what it starts would not see the change


@pytest.mark.parametrize(
    ("right", "wrong", "survived"),
    [
        ("return x @ self.kernel", "return x @ self.kernel", True),
        ("return x @ self.kernel", "return -x @ self.kernel", False),
    ],
)
def test_a_change_is_caught_by_the_pages_alone(right, wrong, survived):
    multiprocessing.get_context("forkserver").set_forkserver_preload([*drift.PRELOADED, "nnx_state"])
    source = Path(drift.PACKAGE, "linear.py").read_text("utf-8")
    assert right in source
    files = [drift.ROOT / "docs/lessons/linear.md"]
    assert drift.survives("linear", source.replace(right, wrong), files)[0] is survived


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
