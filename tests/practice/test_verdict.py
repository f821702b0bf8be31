"""The verdict comes first: nothing that fails afterwards, or while it is written, loses it or harms what was there."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from nnx_state import _files, _reading
from nnx_state._outcome import COULD_NOT_RUN, RefusedError
from nnx_state.practice import grading, progress, verbs
from nnx_state.practice.exercises import exercise
from nnx_state.practice.findings import Finding

SEED = exercise("multi-param")
STUBBED = """\
import sys
from nnx_state import cli
from nnx_state import _reading
from nnx_state.practice import grading, verbs
verbs.grade = lambda one, path: grading.Report(one, _reading.attempt(path), (), "", 0.0)
sys.argv = ["nnx-state", *{arguments!r}]
cli.main()
"""


def grade(one, path):
    """Let every attempt pass without running it."""
    return grading.Report(one, _reading.attempt(path), (), "", 0.0)


@pytest.fixture
def file(learner, monkeypatch):
    """Return an attempt that passes, of a learner who has done something before."""
    monkeypatch.setattr(verbs, "grade", grade)
    with progress.changing() as known:
        known.of("linear").passed = True
    path = learner / SEED.filename
    path.write_text(SEED.solution, "utf-8")
    return path


def command(*arguments, through=(), **how):
    """Run the command line, in which every attempt passes; return its exit code and what it writes."""
    program = STUBBED.format(arguments=list(map(str, arguments)))
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    done = subprocess.run([*through, sys.executable, "-c", program], text=True, check=False, **how)
    return done.returncode, done.stdout, done.stderr


def test_the_verdict_is_told_before_it_is_saved(file):
    outcomes = verbs.check(file)
    assert "**Passed.**" in next(outcomes).text
    assert not progress.load().of("multi-param").passed
    assert "Next: `nnx-state practice start reading-writing`" in next(outcomes).text
    assert progress.load().of("multi-param").passed


def full(*arguments, **names):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


WRITES = [(os, "fsync"), (Path, "replace"), (_files, "_opened_beside"), (filelock.FileLock, "acquire"), (Path, "mkdir")]


@pytest.mark.parametrize(("home", "name"), WRITES, ids=lambda value: getattr(value, "__name__", value))
def test_on_a_full_disk_each_verb_says_what_it_can(home, name, file, monkeypatch):
    before = progress.default_path().read_bytes()
    with monkeypatch.context() as disk:
        disk.setattr(home, name, full)
        verdict, after = verbs.check(file)
        assert "**Passed.**" in verdict.text
        assert after.text.startswith("Your progress could not be saved.")
        assert after.text.endswith("cannot be written: No space left on device.")
        assert after.data["error"] == after.text
        hint = verbs.hint("multi-param")
        assert "**Hint 1 of 3" in hint.text
        assert hint.text.endswith("cannot be written: No space left on device.")
        with pytest.raises(RefusedError, match="cannot be written: No space left on device"):
            verbs.start("caches")
    assert progress.default_path().read_bytes() == before
    assert [path.name for path in progress.default_path().parent.glob("*.new")] == []
    assert "**Passed.**" in next(verbs.check(file)).text


def test_a_copy_that_does_not_fit_is_taken_away_again(learner, monkeypatch):
    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(_files.shutil, "copyfileobj", full)
    with pytest.raises(RefusedError, match="No space left on device"):
        verbs.start("caches")
    assert list(learner.iterdir()) == []


def test_a_progress_file_that_cannot_be_used_stops_no_check_of_a_file(file):
    progress.default_path().write_text("somebody's", "utf-8")
    verdict, after = verbs.check(file)
    assert "**Passed.**" in verdict.text
    assert "is no progress file of nnx-state" in after.text
    assert progress.default_path().read_text("utf-8") == "somebody's"


FULL = ("sh", "-c", 'ulimit -f 0; exec "$0" "$@"')  # no file can grow, as on a full disk
CLOSED = ("sh", "-c", 'exec "$0" "$@" >&-')  # there is no standard output


def test_a_verdict_reaches_a_terminal_though_no_file_can_be_written(file):
    code, out, err = command("practice", "check", file, through=FULL)
    assert (code, err) == (0, "")
    assert "**Passed.**" in out
    assert "Your progress could not be saved." in out
    assert "File too large" in out


@pytest.mark.parametrize("arguments", [["practice", "check"], ["practice", "list"], ["lesson", "linear"], ["--help"]])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_output_that_cannot_be_written_ends_with_a_code(arguments, buffered, file, tmp_path):
    if arguments[-1] == "check":
        arguments = [*arguments, str(file)]
    with (tmp_path / "out").open("w") as out:
        variables = os.environ | {"PYTHONUNBUFFERED": buffered}
        code, _, err = command(*arguments, stdout=out, through=FULL, env=variables)
    assert code == COULD_NOT_RUN
    assert err in ("", "[Errno 27] File too large\n")


def test_a_pass_is_saved_though_nobody_reads_the_verdict(file):
    reader, writer = os.pipe()
    os.close(reader)
    code, _, err = command("practice", "check", file, stdout=writer)
    os.close(writer)
    assert (code, err) == (COULD_NOT_RUN, "")
    assert progress.load().of("multi-param").passed


def test_a_message_that_cannot_be_written_either_ends_with_a_code(tmp_path):
    with (tmp_path / "out").open("w") as out:
        assert command("practice", "check", "nowhere.py", stdout=out, stderr=out, through=FULL)[0] == COULD_NOT_RUN
    assert command("practice", "list", through=CLOSED)[0] == COULD_NOT_RUN


def test_a_name_that_is_no_text_can_be_told(learner):
    name = os.fsdecode(b"\xff_linear.py")
    code, out, err = command("practice", "check", name, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (code, out) == (COULD_NOT_RUN, "")
    assert "\\udcff_linear.py tells no exercise" in err


def test_a_check_that_failed_by_itself_is_no_verdict(file, monkeypatch):
    def grade(one, path):
        failed = Finding("check-failed", seen="the stage shapes raised TypeError in multi_param/checks.py:57")
        found = [Finding("param", "count", "a Param"), failed] if path.read_text("utf-8") == "wrong" else [failed]
        diagnosed = tuple(grading.Diagnosed(finding, one.diagnosis(finding.kind, finding.about)) for finding in found)
        return grading.Report(one, _reading.attempt(path), diagnosed, "", 0.0)

    monkeypatch.setattr(verbs, "grade", grade)
    (outcome,) = verbs.check(file)
    assert outcome.code == COULD_NOT_RUN
    assert outcome.text.startswith("**No verdict.** The check itself failed here, which is no fault of your file.")
    assert "multi_param/checks.py:57" in outcome.text
    assert "Please report it" in outcome.text
    assert json.loads(json.dumps(outcome.data))["undecided"]
    file.write_text("wrong", "utf-8")
    outcome = next(verbs.check(file))
    assert outcome.code == 1
    assert outcome.text.startswith("**Not yet.** The count is a Param.")
    assert "The check itself failed here, which is no fault of your file. (the stage shapes raised" in outcome.text
    assert "perhaps for the same reason" not in outcome.text
