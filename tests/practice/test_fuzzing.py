"""A small part of the fuzzing, always the same one, and a proof that each part of it can find something."""

import json
import subprocess
import sys

import pytest

from nnx_state.practice import grading
from nnx_state.practice.exercises import exercise
from workshop.fuzzing import edits

SEED = exercise("multi-param")


def fuzzed(*arguments, broken=""):
    """Run the command, in whose process something may be broken first; return its exit code and what it printed."""
    program = f"import sys\n{broken}\nfrom workshop.fuzzing import __main__\nsys.exit(__main__.main())"
    command = [sys.executable, "-c", program, "--seed", "1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_programs_that_take_turns_lose_nothing():
    code, out = fuzzed("turns", "--turns", "6")
    assert code == 0, out
    assert "interleavings: 6, with " in out
    assert out.endswith("; 0 findings\n")


def test_turns_without_a_lock_are_found_out():
    broken = "import contextlib\nfrom nnx_state.practice import progress\n"
    broken += "progress._lock = lambda path: contextlib.nullcontext(path.parent.mkdir(exist_ok=True))"
    code, out = fuzzed("turns", "--turns", "6", broken=broken)
    assert code == 1, out
    assert "interleaving 1-" in out


@pytest.mark.parametrize(
    "part", [("--of", "97", "--by-python"), ("--of", "7", "--verb", "check")], ids=["by Python", "by the kernel"]
)
def test_a_program_that_is_ended_or_fails_loses_nothing(part):
    """Where strace may not look, Python does both."""
    code, out = fuzzed("faults", *part)
    assert code == 0, out
    assert out.endswith("; 0 findings\n")
    assert " 0 KILL" not in out


def test_a_file_that_is_gone_for_a_moment_is_found_out():
    broken = "from nnx_state import _files\nreplace = _files.replace\n"
    broken += "_files.replace = lambda path, text: (path.unlink(missing_ok=True), replace(path, text))"
    code, out = fuzzed("faults", "--fault", "KILL", "--verb", "hint", "--by-python", broken=broken)
    assert code == 1, out
    assert "known, hint, KILL at " in out


@pytest.fixture
def path(tmp_path):
    return tmp_path / SEED.filename


def test_each_edit_has_one_verdict_that_is_true():
    kinds, passed, wrong = edits.fuzzed(SEED, "4", 12)
    assert (passed, wrong) == ([], [])
    assert kinds.total() == 12
    assert len(kinds) > 2


@pytest.mark.parametrize("odd", edits.ODD, ids=lambda odd: f"{odd[:9]!r}")
def test_odd_bytes_at_the_end_of_a_starter_break_nothing(odd, path):
    kind, wrong = edits.judged(SEED, edits.Edit("starter", "", SEED.starter.encode() + odd), path, ran)
    assert wrong == []
    assert kind in {"refused", "syntax", "not-started", "absent"}


def ran(question):
    """Run nothing, and find that something is absent."""
    entries = ({"finding": {"kind": "absent", "about": "x"}}, {"done": True})
    told = "".join(f"{question.word}{json.dumps(entry)}\n" for entry in entries)
    return grading.Ran(0, told.encode(), b"")


def test_what_is_told_twice_or_too_long_is_found_out(path, monkeypatch):
    edit = edits.Edit("starter", "", b"x = [")
    monkeypatch.setattr(edits.reports, "text", lambda report: "**Not yet.** **Passed.**" + "x" * edits.LONGEST)
    assert len(edits.judged(SEED, edit, path, ran)[1]) == 2


def test_a_program_is_the_same_whatever_is_said_of_it():
    one = edits.program('"""Doc."""\nx: int = 1\ndef f(a: int) -> str:\n    """Doc."""\n    return a  # so\n')
    assert one == edits.program("x: float = 1\n\ndef f(a):\n    return (a)\n")
    assert one != edits.program("x: float = 2\n\ndef f(a):\n    return (a)\n")
