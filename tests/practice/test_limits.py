"""An attempt is ended for what it does, and not for what else a machine has to do; what is told says which it was."""

import json
import signal
import subprocess
import sys

import psutil
import pytest

from nnx_state.practice import limits, reports, running
from nnx_state.practice.channel import Question, record
from nnx_state.practice.exercises import exercise
from nnx_state.practice.grading import grade, grade_source
from nnx_state.practice.limits import COMPUTED, LASTED, WAITED, Limit
from nnx_state.practice.running import Ran

SEED = exercise("multi-param")


@pytest.mark.parametrize(
    ("share", "end", "why"),
    [
        (1.0, 30, COMPUTED),
        (8.0, 30, COMPUTED),  # on several processors, for which others would have taken longer
        (0.5, 60, COMPUTED),
        (0.11, 273, COMPUTED),
        (0.05, 300, LASTED),  # of a machine that has much else to do
        (0.02, 300, LASTED),
        (0.005, 30, WAITED),
        (0.0, 30, WAITED),
    ],
)
def test_a_share_of_a_processor_decides_when_an_attempt_ends_and_why(share, end, why):
    limit = Limit(30.0, start=1000.0)
    reached = {now: limit.reached(1000.0 + now, now * share) for now in range(end + 1)}
    assert {now: said for now, said in reached.items() if said} == {end: why}


def test_waiting_is_counted_from_when_an_attempt_last_computed():
    limit = Limit(30.0, start=0.0)
    assert [limit.reached(now, min(now, 20.0)) for now in (1.0, 20.0, 49.0, 50.0)] == ["", "", "", WAITED]


FAMILY = """\
import subprocess, sys, threading
from nnx_state.practice import limits
before = limits.computed(0.0)
burn = "import time\\nwhile time.process_time() < 0.3: pass\\n"
threads = "import threading\\none = threading.Thread(target=exec, args=(" + repr(burn) + ",))\\n"
threads += "one.start()\\none.join()\\n"
ended = "import subprocess, sys\\nsubprocess.run([sys.executable, '-c', " + repr(burn) + "])\\n"
hold = "print(flush=True)\\ninput()\\n"
texts = [burn + hold, threads + hold, ended + hold]
started = [subprocess.Popen([sys.executable, "-c", text], stdin=-1, stdout=-1) for text in texts]
for one in started:
    one.stdout.readline()
print(limits.computed(0.0) - before)
for one in started:
    one.communicate(b"\\n")
print(limits.computed(0.0) - before)
"""


def test_what_processes_and_threads_compute_counts_together_also_when_they_have_ended():
    done = subprocess.run([sys.executable, "-c", FAMILY], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert all(float(line) >= 0.8 for line in done.stdout.split())


def test_where_the_system_does_not_tell_time_counts(monkeypatch):
    def refuse(process, recursive):
        raise OSError(2, "No such file or directory", "/proc")

    monkeypatch.setattr(psutil.Process, "children", refuse)
    assert limits.computed(7.0) == 7.0


PROGRAM = running.PROGRAM.replace(
    "keeper.main()",
    "keeper._answer = lambda question, watched: exec(question.text, {{}}); keeper.LOOK = 0.001; "
    "keeper.limits.computed = {computed}; keeper.main()",
)
STANDS = """\
import faulthandler, os, signal, sys
faulthandler.register(signal.SIGUSR1, file=1, chain=True)
os.write(1, b'an entry without an end')
"""


@pytest.mark.parametrize(
    ("computed", "why"),
    [
        ("lambda lasted: 9.0", COMPUTED),
        ("lambda lasted: 0.0", WAITED),
        ("lambda lasted, turns=__import__('itertools').cycle([0.0, 0.01]): next(turns)", LASTED),
    ],
)
@pytest.mark.parametrize("text", [f"{STANDS}signal.pause()", f"{STANDS}while True: pass"])
def test_an_attempt_is_ended_at_its_limit_and_tells_where_it_stands(computed, why, text, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "PROGRAM", PROGRAM.format(computed=computed))
    question = _asked(text, tmp_path, 0.05)
    ran = running.run(question)
    told = record(ran.told, question.word)
    assert ran.code == -signal.SIGUSR1
    assert told.over["why"] == why
    assert not told.done
    assert 'File "<string>", line 4 in <module>' in told.rest


def test_an_attempt_that_hears_no_signal_is_ended_all_the_same(tmp_path, monkeypatch):
    program = PROGRAM.format(computed="lambda lasted: 9.0").replace(
        "keeper.main()", "keeper.GRACE = 0.01; keeper.main()"
    )
    monkeypatch.setattr(running, "PROGRAM", program)
    question = _asked("import signal\nsignal.signal(10, signal.SIG_IGN)\nwhile True: pass", tmp_path, 0.05)
    ran = running.run(question)
    assert ran.code == -signal.SIGKILL
    assert record(ran.told, question.word).over["why"] == COMPUTED


def _asked(text, folder, limit):
    (folder / "run" / "work").mkdir(parents=True)
    return Question(SEED.module, str(folder / SEED.filename), text, str(folder / "run"), limit)


@pytest.mark.parametrize(
    ("over", "kind", "undecided", "said"),
    [
        ({"why": COMPUTED, "computed": 30.2, "lasted": 61.7}, "timeout", False, "a loop that never ends"),
        ({"why": WAITED, "computed": 2.2, "lasted": 32.4}, "waiting", False, "it had computed next to nothing"),
        ({"why": LASTED, "computed": 7.0, "lasted": 300.1}, "lasted", True, "has much else to do"),
    ],
)
def test_what_is_told_says_which_limit_it_was(over, kind, undecided, said):
    path = "multi_param.py"
    stack = f'Thread 0x1 (most recent call first):\n  File "{path}", line 9 in f\n\n'
    stack += f'Current thread 0x2 (most recent call first):\n  File "a.py", line 1 in g\n  File "{path}", line 3 in h\n'

    def runner(question):
        entries = [{"stage": "_load"}, {"over": over}]
        told = "".join(f"{question.word}{json.dumps(entry)}\n" for entry in entries)
        return Ran(-10, (stack.replace(path, question.path) + told).encode(), b"")

    report = grade_source(SEED, SEED.solution, runner=runner)
    [found] = report.found
    assert (found.finding.kind, found.finding.line, report.undecided) == (kind, 3, undecided)
    told = reports.text(report)
    assert said in told
    assert "in the stage load after {lasted:.0f} s, in which it computed for {computed:.0f} s".format(**over) in told


def test_a_pass_that_was_told_before_the_limit_stays_one():
    def runner(question):
        entries = [{"done": True}, {"over": {"why": COMPUTED, "computed": 30.0, "lasted": 30.0}}]
        return Ran(-10, "".join(f"{question.word}{json.dumps(entry)}\n" for entry in entries).encode(), b"")

    assert grade_source(SEED, SEED.solution, runner=runner).passed


REACHED = """\
import os; from nnx_state.practice import keeper, limits
limits.Limit.reached = lambda limit, now, computed: {why!r} if os.path.exists("reached") else ""
keeper.main()"""


@pytest.mark.parametrize(
    ("code", "why", "kind", "shown"),
    [
        ("while True:\n    pass", COMPUTED, "timeout", "while True:"),
        ("import threading\nthreading.Event().wait()", WAITED, "waiting", "threading.Event().wait()"),
    ],
)
def test_the_line_that_was_running_is_named(code, why, kind, shown, tmp_path, monkeypatch):
    program = running.PROGRAM.partition("; from")[0]
    monkeypatch.setattr(running, "PROGRAM", f"{program}\n{REACHED.format(why=why)}")
    folder = tmp_path / "Übung 水 😀"
    folder.mkdir()
    path = folder / SEED.filename
    path.write_text(f"open('reached', 'w').close()\n{code}\n{SEED.solution}", "utf-8")
    [found] = grade(SEED, path).found
    assert found.finding.kind == kind
    assert shown in path.read_text("utf-8").split("\n")[found.finding.line - 2 : found.finding.line]
