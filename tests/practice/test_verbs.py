"""The verbs, as a learner meets them on the command line."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from queue import Queue

import pytest
import watchfiles

from nnx_state import _files, _reading
from nnx_state._outcome import RefusedError
from nnx_state.practice import grading, progress, verbs
from nnx_state.practice.exercises import exercise, exercises

SEED = exercise("multi-param")
MISTAKE = SEED.wrong["count-param"].source
NNX_STATE = [sys.executable, "-m", "nnx_state", "practice"]


def practice(*arguments, **variables):
    command = [*NNX_STATE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def passing(monkeypatch):
    """Let every attempt pass without running it."""

    def grade(one, path):
        return grading.Report(one, _reading.attempt(path), (), "", 0.0)

    monkeypatch.setattr(verbs, "grade", grade)


def checked(*arguments, **names):
    """Check an attempt to the end, and return the verdict."""
    verdict, *_ = verbs.check(*arguments, **names)
    return verdict


def test_a_learner_gets_from_the_start_to_the_next_exercise(learner):
    started = practice("start", "multi-param")
    assert started.returncode == 0
    assert "Write `multi_param_forward(seed, x, features)`." in started.stdout
    file = learner / "multi_param.py"
    assert file.read_text("utf-8") == SEED.starter

    untouched = practice("check")
    assert untouched.returncode == 1
    assert "**Not yet.** The file is still the starter." in untouched.stdout

    file.write_text(MISTAKE, "utf-8")
    wrong = practice("check")
    assert wrong.returncode == 1
    for part in (
        "**Not yet.** The count is a Param.",
        "multi_param.py:12: self.count = nnx.Param(jnp.array(0.0))",
        "- Seen: a Param of float32[] in `count`",
        "- Expected: a Variable in `count`",
        "One step of adamw(0.1, weight_decay=0.1) turned a count of 5 into 4.95.",
        "Next: Training must leave a counter alone: wrap it in `nnx.Variable`.",
        "Read: `nnx-state lesson multi-param#a-counter-tagged-param`",
    ):
        assert part in wrong.stdout

    assert practice("solution", "multi-param").returncode == 1
    assert "**Hint 1 of 3: what a wrapper decides**" in practice("hint", "multi-param").stdout
    file.write_text(SEED.solution, "utf-8")
    right = practice("check", "--format", "json", SITE_URL="https://a.test/")
    assert right.returncode == 0
    assert json.loads(right.stdout)["passed"] is True
    assert "self.count = nnx.Variable" in practice("solution", "multi-param").stdout
    listed = practice("list").stdout
    assert "passed   multi-param" in listed
    assert f"1 of {len(exercises())} passed. Next: `nnx-state practice start linear`" in listed


def test_start_leaves_work_as_it_is(learner):
    file = learner / "linear.py"
    file.write_text("mine", "utf-8")
    outcome = verbs.start("linear")
    assert "is there already and is left as it is" in outcome.text
    assert file.read_text("utf-8") == "mine"
    assert [path.name for path in learner.iterdir()] == ["linear.py"]


def test_start_goes_on_where_the_learner_is(learner, passing):
    assert verbs.start().data["exercise"] == "linear"
    checked()
    assert verbs.start(folder=learner / "new" / "folder").data["exercise"] == "multi-param"
    assert (learner / "new" / "folder" / "multi_param.py").exists()
    for one in exercises():
        verbs.start(one.slug)
        checked(learner / one.filename)
    assert "All exercises have passed" in verbs.start().text
    assert "That was the last exercise" in verbs.list_all().text


def test_check_takes_the_exercise_that_is_begun_last_or_a_name_or_a_file(learner, passing):
    with pytest.raises(RefusedError, match="linear was never started: `nnx-state practice start linear` does that"):
        checked()
    verbs.start("filters")
    verbs.start("caches")
    verbs.hint("linear")
    assert checked().data["exercise"] == "caches"
    assert checked().data["exercise"] == "caches"
    verbs.start("filters")
    assert checked().data["exercise"] == "filters"
    assert checked(name="caches").data["exercise"] == "caches"
    other = learner / "other.py"
    other.write_text(SEED.solution, "utf-8")
    assert checked(other, "multi_param").data["exercise"] == "multi-param"
    with pytest.raises(RefusedError, match=r"tells no exercise: name it with --exercise SLUG"):
        checked(other)
    with pytest.raises(RefusedError, match="No exercise is named 'nothing': choose one of linear, multi-param"):
        checked(other, "nothing")


def test_hints_come_one_by_one_or_all():
    titles = [title for title, _ in SEED.hints]
    for number in (1, 2, 3, 3):
        shown = verbs.hint("multi-param").data["hints"]
        assert [hint["title"] for hint in shown] == [titles[number - 1]]
    assert [hint["title"] for hint in verbs.hint("multi-param", every=True).data["hints"]] == titles
    assert "](" not in verbs.hint("multi-param", every=True).text  # a link would lead nowhere


def test_a_solution_opens_by_force():
    assert verbs.solution("multi-param").data["solution"] is None
    assert verbs.solution("multi-param", force=True).data["solution"] == SEED.solution


def test_reset_keeps_every_attempt(learner):
    with pytest.raises(RefusedError, match="multi-param was never started"):
        verbs.reset("multi-param")
    verbs.start("multi-param")
    file = learner / "multi_param.py"
    for number, text in enumerate(("one", "two"), start=1):
        file.write_text(text, "utf-8")
        kept = learner / f"multi_param.{number}.bak.py"
        assert verbs.reset("multi-param").data["kept"] == str(kept)
        assert kept.read_text("utf-8") == text
        assert file.read_text("utf-8") == SEED.starter
    file.unlink()
    assert verbs.reset("multi-param").data["kept"] == ""
    assert file.read_text("utf-8") == SEED.starter
    assert len(list(learner.iterdir())) == 3


def test_what_an_editor_saves_during_a_reset_is_not_lost(learner, monkeypatch):
    file = learner / "linear.py"
    verbs.start("linear")
    file.write_text("first", "utf-8")
    link = os.link

    def saved(old, new):
        monkeypatch.setattr(os, "link", link)
        file.write_text("second", "utf-8")
        return link(old, new)

    monkeypatch.setattr(os, "link", saved)
    assert verbs.reset("linear").text.endswith(f"`{file}` is what was saved there meanwhile.")
    assert file.read_text("utf-8") == "second"
    assert (learner / "linear.1.bak.py").read_text("utf-8") == "first"
    assert len(list(learner.iterdir())) == 2


def test_an_attempt_that_cannot_be_replaced_stays(learner, monkeypatch):
    file = learner / "linear.py"
    verbs.start("linear")
    file.write_text("mine", "utf-8")
    link = os.link

    def full(old, new):
        if str(old).endswith(".new"):
            raise PermissionError(13, "Permission denied")
        link(old, new)

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(_files, "_copied", full)
    with pytest.raises(RefusedError, match=r"linear.py cannot be written: Permission denied\."):
        verbs.reset("linear")
    assert [(path.name, path.read_text("utf-8")) for path in learner.iterdir()] == [("linear.py", "mine")]


def test_links_that_lead_in_a_circle_are_told(learner):
    (learner / "linear.py").symlink_to("linear.py")
    assert "is there already and is left as it is" in verbs.start("linear").text
    with pytest.raises(RefusedError, match=r"linear.py cannot be read: Too many levels of symbolic links\."):
        checked()
    with pytest.raises(RefusedError, match=r"linear.py is a link and no regular file"):
        verbs.reset("linear")
    (learner / "circle").symlink_to("circle")
    with pytest.raises(RefusedError, match=r"circle/homes.py cannot be written: "):
        verbs.start("homes", learner / "circle")


def test_a_folder_that_is_gone_is_told(learner):
    learner.rmdir()
    with pytest.raises(RefusedError, match=r"The folder that you are in cannot be found: .* Change into another one\."):
        verbs.start("linear")


def test_without_links_files_are_copied(learner, monkeypatch):
    def link(old, new):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", link)
    verbs.start("multi-param")
    assert verbs.reset("multi-param").data["kept"].endswith("multi_param.1.bak.py")
    assert sorted(path.name for path in learner.iterdir()) == ["multi_param.1.bak.py", "multi_param.py"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", "nothing"], "No exercise is named 'nothing': choose one of linear, multi-param"),
        (["start", "linear", "/proc/x"], "/proc/x/linear.py cannot be written: No such file or directory."),
        (["check"], "linear was never started"),
        (["check", "linear.py"], "linear.py cannot be read: No such file or directory."),
        (["watch", "nowhere"], "nowhere is no folder: name the one that your attempts are in."),
        (["hint"], "Missing argument 'SLUG'"),
        (["solve"], "No such command 'solve'"),
    ],
)
def test_what_cannot_be_done_is_told_with_code_2(arguments, message):
    done = practice(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_notice_about_the_progress_file_is_shown():
    path = progress.default_path()
    path.parent.mkdir()
    path.write_text('{"program": "nnx-state practice", "ver', "utf-8")
    assert "The progress file could not be read" in practice("list").stdout


def in_a_terminal(*arguments, **variables):
    """Return what the command line writes to a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*NNX_STATE, *arguments], stdout=follower, stderr=follower, env=os.environ | {"TERM": "xterm"} | variables
    )
    os.close(follower)
    text = b""
    while True:
        try:
            text += os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
    assert process.wait() == 0
    return text.decode()


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert "\x1b[" not in practice("start", "linear").stdout
    assert "\x1b[3" in in_a_terminal("solution", "linear", "--force")
    assert "\x1b[3" not in in_a_terminal("solution", "linear", "--force", NO_COLOR="1")


def test_watch_waits_for_the_first_save(learner, passing, monkeypatch):
    file = learner / "linear.py"
    saved = {(watchfiles.Change.modified, str(file))}

    def watch(folder, **how):
        yield set()
        yield saved  # as the starter is written
        file.write_text("mine", "utf-8")
        yield saved
        yield saved  # some editors write twice
        file.write_text("mine too", "utf-8")
        yield saved

    monkeypatch.setattr(watchfiles, "watch", watch)
    told = [outcome.data for outcome in verbs.watch(learner) if outcome.data.keys() & {"written", "checking", "passed"}]
    steps = [next(key for key in ("written", "checking", "diagnoses", "passed") if key in data) for data in told]
    once = ["checking", "diagnoses", "passed", "written"]
    assert steps == ["passed", "written", *once, *once]


class Watching:
    """A running `watch`, line by line as JSON."""

    def __init__(self, folder):
        command = [*NNX_STATE, "watch", str(folder), "--format", "json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.lines = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with self.process.stdout as lines:
            for line in lines:
                self.lines.put(json.loads(line))

    def until(self, key):
        """Return the next output that has a key."""
        while key not in (found := self.lines.get(timeout=60)):
            pass
        return found


def test_watch_checks_on_save_and_moves_on(learner):
    watching = Watching(learner)
    try:
        assert watching.until("written")["exercise"] == "linear"
        file = learner / "linear.py"
        file.write_text(f"{exercise('linear').starter}\nBEGUN = True\n", "utf-8")
        assert watching.until("checking")["exercise"] == "linear"
        first = watching.until("diagnoses")
        assert first["passed"] is False
        assert first["diagnoses"][0]["name"] != "not-started"  # the file that was written there is not checked
        (learner / "notes.txt").write_text("no attempt", "utf-8")
        file.write_bytes(b"\xff")
        assert "not text in UTF-8" in watching.until("error")["error"]
        new = learner / "linear.py.new"  # many editors write beside and rename
        new.write_text(exercise("linear").solution, "utf-8")
        new.replace(file)
        assert watching.until("diagnoses")["passed"] is True
        assert watching.until("written") | {"problem": ""} == {
            "exercise": "multi-param",
            "file": str(learner / "multi_param.py"),
            "written": True,
            "problem": "",
        }
    finally:
        watching.process.send_signal(signal.SIGINT)
        assert watching.process.wait(60) == 0
