"""Whatever an attempt starts ends with its check, also when the one that checks is ended itself; no folder stays.

Where no verdict is asked for, the process runs the text of the attempt alone, which needs no JAX.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import filelock
import pytest

from nnx_state._outcome import RefusedError
from nnx_state.practice import progress, running, scratch
from nnx_state.practice.channel import Question
from nnx_state.practice.exercises import exercise
from nnx_state.practice.grading import grade, grade_source

SEED = exercise("multi-param")
ALONE = running.PROGRAM.replace(
    "keeper.main()", "keeper._answer = lambda question, watched: exec(question.text, {}); keeper.main()"
)
LONG = "import time\ntime.sleep(600)"
STARTED = f"""\
import os, signal, subprocess, sys

def deaf():
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

def start(name, **how):
    started = subprocess.Popen([sys.executable, "-c", {LONG!r}], **how)
    with open(name + ".new", "w") as file:
        file.write(str(started.pid))
    os.replace(name + ".new", name)

os.chdir(FOLDER)
start("child")
start("session", start_new_session=True)
start("deaf", start_new_session=True, preexec_fn=deaf)
if not os.fork():
    os.setsid()
    if not os.fork():
        start("double fork")
    os._exit(0)
while len([name for name in os.listdir() if not name.endswith(".new")]) < 4:
    pass
open("all", "w").close()
"""
FOREVER = "while True: pass\n"


@pytest.fixture(autouse=True)
def heard():
    """Let what is started here hear the signals that this run may have been told to ignore, as by nohup."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def started(tmp_path):
    """Return the folder in which an attempt names what it has started."""
    folder = tmp_path / "started"
    folder.mkdir()
    return folder


def starting(started, more=""):
    """Return an attempt that starts processes in four ways, each of which would stay for ten minutes."""
    return STARTED.replace("FOLDER", repr(str(started))) + more


def all_ended(started):
    """Tell whether nothing that an attempt has started is running."""
    numbers = [path.read_text() for path in started.iterdir() if path.name != "all"]
    assert len(numbers) == 4
    return not any(map(is_running, numbers))


def ran(text, folder, limit=60.0):
    """Run an attempt alone."""
    folder = folder / "run"
    (folder / "work").mkdir(parents=True)
    return running.run(Question(SEED.module, str(folder / SEED.filename), text, str(folder), limit))


@pytest.fixture
def alone(monkeypatch):
    """Let the text of an attempt run without checks."""
    monkeypatch.setattr(running, "PROGRAM", ALONE)


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"left: {left()}"


def is_running(number):
    """Tell whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def left():
    """Return what is running of all processes and what is in the folders, for the message of a test."""
    commands = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            commands.add(path.read_bytes().replace(b"\0", b" ")[:120].decode(errors="replace"))
    return sorted(commands), [[*map(str, folder.rglob("*"))] for folder in folders()]


def folders():
    return set(Path(tempfile.gettempdir()).glob(f"{scratch.PREFIX}*"))


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Let temporary folders be made apart from those of other programs."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    tempfile.tempdir = None


def test_what_an_attempt_started_has_ended_with_its_check(started):
    report = grade_source(SEED, starting(started, SEED.solution))
    assert report.passed
    assert report.printed == ""
    assert all_ended(started)
    assert folders() == set()


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os._exit(3)", 3),
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("1 / 0", 1),
    ],
)
def test_however_an_attempt_ends_what_it_started_has_ended(end, code, started, alone, tmp_path):
    done = ran(starting(started, end), tmp_path)
    assert done.code == code
    assert (b"Traceback" in done.printed) == (end == "1 / 0")
    assert all_ended(started)


def test_an_attempt_that_does_not_end_itself_is_ended(alone, tmp_path):
    assert ran(FOREVER, tmp_path, limit=0.5 - running.GRACE).code is None


def test_an_attempt_ends_when_its_keeper_is_killed(alone, tmp_path):
    code = f"import os, pathlib, signal\npathlib.Path({str(tmp_path / 'self')!r}).write_text(str(os.getpid()))\n"
    assert ran(f"{code}os.kill(os.getppid(), signal.SIGKILL)\n{FOREVER}", tmp_path).code == -signal.SIGKILL
    wait_for(lambda: not is_running((tmp_path / "self").read_text()))


def test_threads_that_never_end_hold_nothing_up():
    code = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    assert grade_source(SEED, code + SEED.solution).passed


def test_of_two_processes_that_go_on_as_the_check_one_tells(tmp_path):
    assert grade_source(SEED, f"import os\nos.fork()\n{SEED.solution}").passed


PARENT = """\
import sys, pathlib
from nnx_state import cli
from nnx_state.practice import running
if {alone}:
    running.PROGRAM = {program!r}
sys.argv = ["nnx-state", "practice", "check", {path!r}]
cli.main()
"""


def checking(started, tmp_path, alone=True):
    """Start the command line on an attempt that never ends, and wait until all that it starts is there."""
    path = tmp_path / SEED.filename
    path.write_text(starting(started, FOREVER), "utf-8")
    program = PARENT.format(alone=alone, program=ALONE, path=str(path))
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for((started / "all").exists)
    assert folders()
    return parent


@pytest.mark.parametrize(
    ("how", "alone"), [(signal.SIGTERM, True), (signal.SIGHUP, True), (signal.SIGKILL, True), (signal.SIGKILL, False)]
)
def test_all_ends_when_the_one_that_checks_is_ended(how, alone, started, tmp_path):
    with checking(started, tmp_path, alone) as parent:
        parent.send_signal(how)
        assert parent.wait() == -how
    wait_for(lambda: all_ended(started) and not folders())


def test_the_folder_goes_where_nobody_wants_an_answer(tmp_path):
    """The kernel closes what a process had open before it gives its children away: the end is seen before the rest."""
    folder = tmp_path / "run"
    (folder / "work").mkdir(parents=True)
    question = Question(SEED.module, str(folder / SEED.filename), FOREVER, str(folder), 60.0)
    asked = json.dumps(asdict(question)).encode() + b"\n"
    done = subprocess.run([sys.executable, "-I", "-c", ALONE], input=asked, capture_output=True, check=False)
    assert (done.returncode, folder.exists()) == (-signal.SIGKILL, False)


def test_ctrl_c_ends_a_check_without_a_traceback(started, tmp_path):
    with checking(started, tmp_path) as parent:
        parent.send_signal(signal.SIGINT)
        assert parent.communicate()[0] == b""
        assert parent.returncode == 130
    assert all_ended(started)
    assert folders() == set()


def test_ctrl_c_ends_the_start_without_a_traceback():
    program = "import os, signal, sys, nnx_state_start\nassert 'nnx_state' not in sys.modules\n"
    program += "os.kill(os.getpid(), signal.SIGINT)\nprint('on')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("broken", ["cli.main = interrupt", "cli.main = lambda: atexit.register(interrupt)"])
def test_ctrl_c_before_and_after_the_command_line_runs_is_quiet(broken):
    program = f"""
import atexit, os, signal, nnx_state_start
from nnx_state import cli
interrupt = lambda: os.kill(os.getpid(), signal.SIGINT)
{broken}
nnx_state_start.main()
print('on')
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.replace("on\n", ""), done.stderr) in [(130, "", ""), (-signal.SIGINT, "", "")]


def test_a_folder_of_somebody_else_stays(temporary, monkeypatch):
    for name in ("empty", "held"):
        (temporary / f"{scratch.PREFIX}{name}").mkdir()
    (temporary / f"{scratch.PREFIX}held" / scratch.MARK).touch()
    for folder in temporary.iterdir():
        os.utime(folder, (0, 0))
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    scratch.sweep()
    assert len(list(temporary.iterdir())) == 2
    monkeypatch.undo()


def test_a_folder_that_stayed_goes_at_the_next_start(temporary):
    left, held, foreign, empty, new = (
        temporary / f"{scratch.PREFIX}{name}" for name in ("left", "held", "foreign", "empty", "new")
    )
    for folder in (left, held, foreign, empty, new):
        folder.mkdir()
    for folder in (left, held):
        (folder / scratch.MARK).touch()
        (folder / "work").mkdir()
    (foreign / scratch.MARK).write_text("somebody's", "utf-8")
    (temporary / f"{scratch.PREFIX}link").symlink_to(foreign)
    os.utime(foreign, (0, 0))
    os.utime(empty, (0, 0))
    with filelock.FileLock(held / scratch.MARK), scratch.folder() as made:
        assert set(temporary.iterdir()) == {held, foreign, new, made, temporary / f"{scratch.PREFIX}link"}
    assert (foreign / scratch.MARK).read_text("utf-8") == "somebody's"


def test_the_mark_of_a_folder_goes_last(temporary, monkeypatch):
    ended = []
    monkeypatch.setattr(scratch.shutil, "rmtree", lambda path, **how: ended.append(path))  # as if killed before each
    with scratch.folder() as made:
        (made / "work").mkdir()
    assert ended[:2] == [made / "work", made]


def test_a_folder_that_cannot_be_made_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    path = tmp_path / SEED.filename
    path.write_text(SEED.solution, "utf-8")
    with pytest.raises(
        RefusedError, match=r"No folder can be made in .*nowhere: No such file or directory\. Make room"
    ):
        grade(SEED, path)


def test_a_python_that_cannot_be_started_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(RefusedError, match=r"Python cannot be started: .*/python: No such file or directory"):
        grade_source(SEED, SEED.solution)


def test_a_question_that_python_cannot_be_asked_is_told(monkeypatch):
    def failing(question):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(running, "asdict", failing)  # what a pipe takes comes from it
    with pytest.raises(RefusedError, match=r"Python cannot be asked: Input/output error"):
        grade_source(SEED, SEED.solution)


def test_a_lock_that_cannot_be_given_back_stops_nothing(monkeypatch):
    release = filelock.FileLock.release

    def failing(lock, force=False):
        if not force:  # which the end of a process does
            raise OSError(5, "Input/output error")
        release(lock, force)

    monkeypatch.setattr(filelock.FileLock, "release", failing)
    with scratch.folder():
        pass
    assert folders() == set()
    with progress.changing() as known:
        known.of("linear").hints = 1
    assert progress.load().of("linear").hints == 1
