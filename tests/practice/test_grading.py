"""What can happen to an attempt while it runs: each gives its own message, and never a traceback of ours."""

import json
import sys

import pytest

from nnx_state._outcome import RefusedError
from nnx_state.practice import channel, reports
from nnx_state.practice.exercises import exercise
from nnx_state.practice.findings import Finding
from nnx_state.practice.grading import grade, grade_source
from nnx_state.practice.running import Ran, run
from workshop.attempts import forked

SEED = exercise("multi-param")


@pytest.fixture
def attempt(tmp_path):
    """Return a function that writes an attempt: some code, and the solution below it."""

    def write(code, below=SEED.solution):
        path = tmp_path / "multi_param.py"
        path.write_text(f"{code}\n{below}", "utf-8")
        return path

    return write


def primary(report):
    assert not report.passed
    assert "Traceback" not in reports.text(report)
    return report.found[0].finding


@pytest.mark.parametrize(
    ("code", "kind", "line"),
    [
        ("exit()", "exited", 1),
        ("x = bytearray(40 * 2**30)", "memory", 1),
        ("import os\nos._exit(0)", "crashed", None),
        ("import os\nos.abort()", "crashed", None),
        ("input()", "raised", 1),
        ("while True: print('x' * 10**6)", "raised", 1),
    ],
)
def test_what_happens_to_the_process_is_told(attempt, code, kind, line):
    finding = primary(grade(SEED, attempt(code)))
    assert (finding.kind, finding.line) == (kind, line)


@pytest.mark.parametrize(
    ("code", "kind", "line"),
    [
        ("x = 1\nraise SystemExit(3)", "exited", 2),
        ("x = [\n", "syntax", 1),
        ("x = 1\n    y = 2", "syntax", 2),
        ("import jax.numpy as jnp\nx = jnp.ones((10_000, 1_000_000))", "memory", 2),
        ("import flax.nnx as nnx\nnnx.Param = nnx.Variable", "patched", None),
        ("import jax\njax.numpy.zeros = None", "patched", None),
        ("import builtins\nbuiltins.len = int", "patched", None),
        ("import nothing_of_that_name", "raised", 1),
        ("open('/dev/full', 'w').write('x' * 10**6)", "raised", 1),
    ],
)
def test_what_happens_inside_the_process_is_told(attempt, code, kind, line):
    """How the process was started makes no difference to these, so that a fork is enough."""
    finding = primary(grade(SEED, attempt(code), runner=forked))
    assert (finding.kind, finding.line) == (kind, line)


@pytest.mark.parametrize("body", ["...", '"""What it does."""', '"""What it does."""\n    ...', "pass"])
def test_a_function_without_a_body_is_unfinished(attempt, body):
    begun = SEED.solution[: SEED.solution.index("def multi_param_forward")]
    path = attempt("", f"{begun}def multi_param_forward(seed, x, features):\n    {body}\n")
    report = grade(SEED, path, runner=forked)
    line = 1 + path.read_text("utf-8").split("\n").index("def multi_param_forward(seed, x, features):")
    assert (primary(report).kind, primary(report).line) == ("unfinished", line)
    assert [one.finding.name for one in report.found[1:]] == ["multi_param_forward-result-type"]


def test_a_function_without_a_body_may_stand_in_a_right_attempt(attempt):
    assert grade(SEED, attempt("def unused(): ..."), runner=forked).passed


def test_a_check_that_fails_by_itself_is_not_the_attempts_mistake(attempt):
    breaking = SEED.solution.replace(
        "        self.bias",
        "        from nnx_state.practice.multi_param import checks\n        checks.ramp = None\n        self.bias",
    )
    report = grade(SEED, attempt("", breaking), runner=forked)
    assert report.undecided
    assert primary(report).kind == "check-failed"
    assert "the stage forward raised" in primary(report).seen
    assert "multi_param/checks.py:" in primary(report).seen
    also = grade(SEED, attempt("", breaking.replace("nnx.Variable(", "nnx.Param(")), runner=forked)
    assert [one.finding.name for one in also.found] == ["count-param", "check-failed"]


def test_a_machine_that_is_too_slow_is_not_the_attempts_mistake(attempt):
    report = grade(SEED, attempt("def unused(): ..."), runner=lambda question: Ran(None, b"", b""))
    assert report.undecided
    assert [one.finding.kind for one in report.found] == ["not-reached"]


@pytest.mark.parametrize(
    ("found", "told", "undecided"),
    [
        (["check-failed"], ["check-failed", "unfinished"], True),
        (["shape", "check-failed"], ["unfinished", "shape", "check-failed"], False),
        (["check-failed", "shape"], ["unfinished", "shape", "check-failed"], False),
        (["patched"], ["patched"], False),
        ([], [], False),
    ],
)
def test_a_function_without_a_body_is_told_before_faults_and_is_none_alone(attempt, found, told, undecided):
    def runner(question):
        entries = [*(channel.found(Finding(kind)) for kind in found), {"done": True}]
        return Ran(0, "".join(f"{question.word}{json.dumps(entry)}\n" for entry in entries).encode(), b"")

    report = grade(SEED, attempt("def unused(): ..."), runner=runner)
    assert [one.finding.kind for one in report.found] == told
    assert report.undecided == undecided


def test_an_error_that_is_no_exception_is_told(attempt):
    finding = primary(grade(SEED, attempt("raise KeyboardInterrupt"), runner=forked))
    assert (finding.kind, finding.line) == ("raised", 1)


def test_an_endless_call_is_stopped_after_what_was_found_before(attempt):
    code = SEED.solution.replace("nnx.Variable(", "nnx.Param(").replace(
        "return x @", "while True: pass\n        return x @"
    )
    kinds = [one.finding.name for one in grade(SEED, attempt("", code), limit=10, runner=forked).found]
    assert kinds[0] == "count-param"
    assert kinds[-1] == "timeout"


def test_what_an_attempt_prints_is_shown_from_its_end(attempt):
    report = grade(SEED, attempt("print('first' + ' ' * 5000)\nprint('last')"), runner=forked)
    assert report.passed
    assert "last" in report.printed
    assert "first" not in report.printed


def test_an_attempt_runs_in_an_empty_folder_with_few_variables(attempt, monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "beside.py").touch()
    code = (
        "import os, sys\nassert os.listdir() == [] and 'SECRET' not in os.environ\nassert os.getcwd() not in sys.path"
    )
    assert grade(SEED, attempt(code)).passed
    assert primary(grade(SEED, attempt("import beside"))).kind == "raised"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "multi_param.py cannot be read: No such file or directory. `nnx-state practice start` writes"),
        (b"\xff\xfe\x00", "multi_param.py is not text in UTF-8 (byte 0): save it in that encoding."),
        (b"#" * 1_000_001, "multi_param.py has 1000001 bytes, 1000000 are allowed: is it the file that you mean?"),
    ],
)
def test_what_cannot_be_graded_is_told(tmp_path, content, message):
    path = tmp_path / "multi_param.py"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RefusedError) as error:
        grade(SEED, path)
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["", "# nothing\n", f"# mine\n{SEED.starter}", f"\ufeff{SEED.starter}"])
def test_a_starter_with_other_comments_is_not_started(attempt, text):
    assert primary(grade(SEED, attempt(text, ""))).kind == "not-started"


def test_null_bytes_and_depth_are_no_python(attempt):
    assert primary(grade(SEED, attempt("x = 1\0"))).kind == "syntax"
    assert primary(grade(SEED, attempt("(" * 500 + ")" * 500))).kind == "syntax"
    finding = primary(grade(SEED, attempt("x = " + "-" * 10_000 + "1")))
    assert (finding.kind, finding.seen) == ("syntax", "code that is nested too deeply")
    finding = primary(grade(SEED, attempt("\nx = 1\0")))
    assert (finding.kind, finding.seen, finding.line) == ("syntax", "a null byte", 2)


DEEP = "if 1:\n pass\n" + "elif 1:\n pass\n" * 1_200
LONG = f"x = 0x{'f' * 6_000}\n"


@pytest.mark.parametrize("code", [DEEP, LONG, "x = '\\d'\n"], ids=["deep", "long", "escape"])
def test_what_python_can_read_is_run_though_it_is_odd(code):
    """It may be nested too deeply to be compared with the starter, or be something that Python warns of."""
    asked = []

    def runner(question):
        asked.append(question.text)
        return Ran(0, f'{question.word}{{"done": true}}\n'.encode(), b"")

    assert grade_source(SEED, code, runner=runner).passed
    assert asked == [code]


def test_a_process_that_cannot_start_is_told(attempt, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    finding = primary(grade(SEED, attempt("")))
    assert (finding.kind, finding.seen) == ("crashed", "exit code 1 before the first stage")


def test_the_forked_runner_of_these_tests_finds_what_the_real_one_finds(attempt):
    for source in [SEED.wrong["count-param"].source, SEED.solution]:
        findings = [[one.finding for one in grade_source(SEED, source, runner=way).found] for way in (run, forked)]
        assert findings[0] == findings[1]
