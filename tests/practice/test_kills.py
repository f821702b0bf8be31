"""The command line is killed at random moments; no file of the learner is lost, and the progress can be read.

What it had put among the temporary files is gone at the latest after the next start.

KILLS=100 pytest tests/practice/test_kills.py
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from nnx_state.practice import progress, scratch
from nnx_state.practice.exercises import exercise

KILLS = int(os.environ.get("KILLS", "3"))  # of each verb
SEED = exercise("multi-param")
MINE = f"# mine\n{SEED.solution}"


def kill_at_random(longest, *arguments):
    """Start a verb and kill it and all its processes after at most so many seconds; tell whether it was running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nnx_state", "practice", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(random.uniform(0, longest))
    running = process.poll() is None
    if running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def seconds(*arguments):
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "nnx_state", "practice", *arguments], check=False, capture_output=True)
    return time.monotonic() - start


@pytest.mark.parametrize("verb", ["start", "check", "watch", "reset"])
def test_nothing_is_lost(verb, learner, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(scratch, "HOUR", 0)
    file = learner / SEED.filename
    earlier = learner / "linear.py"
    earlier.write_text("# mine too\n", "utf-8")
    with progress.changing() as known:
        known.of("linear").hints = 2
        known.of("multi-param").file = str(file)
    arguments = {"start": ["multi-param"], "check": [str(file)], "watch": ["."], "reset": ["multi-param"]}[verb]
    if verb != "start":
        file.write_text(MINE, "utf-8")
    longest = 4.0 if verb == "watch" else 1.2 * seconds(verb, *arguments)
    hits = 0
    while hits < KILLS:
        if verb == "start":
            file.unlink(missing_ok=True)
        elif verb == "reset":
            file.write_text(MINE, "utf-8")
        hits += kill_at_random(longest, verb, *arguments)
        assert earlier.read_text("utf-8") == "# mine too\n"
        kept = [path.read_text("utf-8") for path in learner.glob("multi_param*.py")]
        if verb == "start":
            assert kept in ([], [SEED.starter])
        else:
            assert MINE in kept
        path = progress.default_path()
        assert json.loads(path.read_text("utf-8"))["exercises"]["linear"]["hints"] == 2
        assert [found.name for found in path.parent.glob("*broken*")] == []
        assert progress.load().of("linear").hints == 2
    end = time.monotonic() + 60
    while left := list(temporary.iterdir()):  # whoever removes a folder may be about to
        assert time.monotonic() < end, left
        scratch.sweep()
