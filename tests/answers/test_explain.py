"""What `nnx-state explain` reads, shows and returns, and what `install` adds to an exception."""

import json
import os
import subprocess
import sys

import pytest

KNOWN = "ValueError: Non-exhaustive filters, got a non-empty remainder: {...}"
COMMAND = [sys.executable, "-m", "nnx_state", "explain"]
ADDRESS = {"SITE_URL": "https://site.test/"}


def explained(*arguments, given=b"", **variables):
    return subprocess.run(
        [*COMMAND, *arguments], input=given, capture_output=True, check=False, env=os.environ | ADDRESS | variables
    )


def test_a_pipe_is_passed_through_and_explained():
    pasted = b"step 1\xff\r\n" + KNOWN.encode() + b"\n"
    done = explained(given=pasted)
    assert done.returncode == 0
    assert done.stdout.startswith(pasted)
    told = done.stdout[len(pasted) :].decode()
    for part in ("Why.", "What works.", "https://site.test/pitfalls/filters-gradients/#non-exhaustive"):
        assert part in told


def test_programs_get_data_alone():
    done = explained("--format", "json", given=KNOWN.encode())
    assert done.stderr == KNOWN.encode()
    data = json.loads(done.stdout)
    assert (data["verdict"], data["shown"]) == ("entry", KNOWN)
    assert data["found"][0]["address"] == "https://site.test/pitfalls/filters-gradients/#non-exhaustive"


def test_a_file_and_a_text_are_explained(tmp_path):
    (tmp_path / "log.txt").write_text(f"a log\n{KNOWN}\n", "utf-8")
    for what in ([str(tmp_path / "log.txt")], [KNOWN], KNOWN.split(" ")):
        done = explained(*what)
        assert done.returncode == 0
        assert b"Non-exhaustive" in done.stdout
    symptom = explained("my loss does not move")
    assert b"#loss-does-not-move" in symptom.stdout


def test_what_is_not_known_is_told_so():
    done = explained("TypeError: unhashable type: 'list'")
    assert done.returncode == 1
    assert b"Not known here" in done.stdout
    assert b"A guess, and no answer" in done.stdout


def test_an_answer_needs_no_jax():
    program = (
        "import sys; from nnx_state import answers; answers.install(); answers.answer('x'); "
        "from nnx_state.answers import verbs; sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


HOOKED = """
import sys, threading
import nnx_state.answers

before = sys.excepthook
sys.excepthook = lambda *error: (print("the hook before", file=sys.stderr), before(*error))
nnx_state.answers.install()
nnx_state.answers.install()


def fail():
    raise {error}


if {thread}:
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
else:
    fail()
"""
NOTE = "Explained at https://site.test/pitfalls/filters-gradients/#non-exhaustive\n"


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize(
    ("error", "note"),
    [("ValueError('Non-exhaustive filters, got a non-empty remainder')", NOTE), ("KeyError('other')", "")],
)
def test_an_uncaught_exception_that_is_known_gets_its_address(thread, error, note):
    program = HOOKED.format(error=error, thread=thread)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ | ADDRESS
    )
    assert done.returncode == (0 if thread else 1)
    assert done.stderr.count("Explained at") == bool(note)
    assert done.stderr.endswith(note)
    assert ("the hook before" in done.stderr) != thread
