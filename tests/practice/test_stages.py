"""Stages say what they need: what one mistake breaks is told once, and what is independent of it is still told."""

import sys
from types import ModuleType

import pytest

from nnx_state.practice import child
from nnx_state.practice.channel import Question
from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Stop
from nnx_state.practice.stages import apart, needs


@pytest.fixture
def grade(monkeypatch):
    """Return a function that runs stages on an attempt, and returns the kinds of what is found."""

    def run(*stages, text="x = 1"):
        checks = ModuleType("nnx_state.practice.multi_param.checks")
        checks.STAGES = stages
        monkeypatch.setitem(sys.modules, checks.__name__, checks)
        question = Question("multi_param", "attempt.py", text, "", 0.0)
        return [entry["finding"]["kind"] for entry in child._graded(question) if "finding" in entry]

    return run


def finding(kind):
    """Return a stage that finds something."""

    def stage(attempt):
        yield Finding(kind)

    return stage


def stopping(kind):
    """Return a stage after which nothing more can be checked."""

    def stage(attempt):
        yield Finding(f"before {kind}")
        raise Stop(Finding(kind))

    return stage


def raising(attempt):
    yield Finding("before error")
    attempt.call("1 / 0")


def failing(attempt):
    yield Finding("before failure")
    attempt.nothing_of_that_name()


def sound(attempt):
    yield from ()


def test_what_ends_a_stage_ends_all_unless_it_is_apart(grade):
    assert grade(stopping("a"), finding("b")) == ["before a", "a"]
    assert grade(apart(stopping("a")), finding("b")) == ["before a", "a", "b"]
    assert grade(raising, finding("b")) == ["before error", "raised"]
    assert grade(apart(raising), finding("b")) == ["before error", "raised", "b"]


def test_a_stage_that_needs_another_is_skipped_where_that_found_something_or_was_skipped(grade):
    first = apart(stopping("a"))
    second = needs(first)(finding("b"))
    third = needs(second)(finding("c"))
    assert grade(first, second, third, finding("d")) == ["before a", "a", "d"]
    first = needs(sound)(sound)
    second = needs(first)(finding("b"))
    assert grade(sound, first, second, finding("d")) == ["b", "d"]


def test_a_stage_can_be_apart_and_need_another(grade):
    assert grade(sound, apart(needs(sound)(stopping("a"))), finding("b")) == ["before a", "a", "b"]
    assert grade(sound, needs(sound)(apart(stopping("a"))), finding("b")) == ["before a", "a", "b"]


def test_an_error_of_the_checks_themselves_is_theirs(grade):
    assert grade(failing, finding("b")) == ["before failure", "check-failed"]
    assert grade(apart(failing), finding("b")) == ["before failure", "check-failed", "b"]


def test_an_error_is_the_attempts_where_its_own_code_runs(grade):
    def comparing(attempt):
        yield Finding("before error")
        attempt.module.odd == 0  # noqa: B015 - to compare is to call the attempt

    text = "class Odd:\n    def __eq__(self, other):\n        raise ValueError('no')\nodd = Odd()"
    assert grade(comparing, text=text) == ["before error", "raised"]


def test_an_error_that_a_check_expects_leaves_no_trace(grade):
    def expecting(attempt):
        try:
            attempt.call("1 / 0")
        except ZeroDivisionError:
            yield Finding("expected")
        attempt.nothing_of_that_name()

    assert grade(expecting) == ["expected", "check-failed"]
