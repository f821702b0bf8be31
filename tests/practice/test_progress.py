"""The progress file: what it keeps, and what happens when it is broken, old, new, locked or out of reach."""

import json
import multiprocessing
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import filelock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnx_state._outcome import RefusedError
from nnx_state.practice import progress, running
from nnx_state.practice.progress import Entry

OURS = {"program": "nnx-state practice", "version": 1, "exercises": {}}
ENTRY = {"file": "/a/linear.py", "hints": 2, "passed": True}


def write(content):
    path = progress.default_path()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_what_is_changed_is_kept():
    assert progress.load().entries == {}
    with progress.changing() as known:
        known.of("linear").passed = True
    with progress.changing() as known:
        known.of("homes").hints = 2
    assert progress.load().entries == {"linear": Entry(passed=True), "homes": Entry(hints=2)}
    names = sorted(path.name for path in progress.default_path().parent.iterdir())
    assert names == [".progress.json.nnx-state-lock", "progress.json"]


def test_without_a_setting_it_lies_in_the_folder_for_state(monkeypatch, tmp_path):
    monkeypatch.delenv("NNX_STATE_PROGRESS")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert progress.default_path() == tmp_path / "nnx-state" / "progress.json"


def test_without_a_home_no_folder_of_that_name_is_made(monkeypatch, learner):
    for name in ("NNX_STATE_PROGRESS", "HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # nobody knows the user, and HOME is not set
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RefusedError, match=r"There is no home folder .*: set HOME, or NNX_STATE_PROGRESS\."):
        add_hint(0)
    assert running.environment(learner)["JAX_COMPILATION_CACHE_DIR"] == str(learner / "work" / "jax")
    assert list(learner.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "entries"),
    [
        ({"version": 1, "exercises": {}}, {}),
        ({"version": 0, "exercises": {"linear": {"passed": True}}}, {"linear": Entry(passed=True)}),
        ({"version": 1, "exercises": {"linear": ENTRY | {"more": 1}}}, {"linear": Entry(**ENTRY)}),
        (OURS, {}),
        (OURS | {"exercises": {"linear": {}}}, {"linear": Entry()}),
        (OURS | {"version": 0, "exercises": {"linear": {"passed": True}}}, {"linear": Entry(passed=True)}),
        (OURS | {"more": 1, "exercises": {"linear": ENTRY | {"more": 1}}}, {"linear": Entry(**ENTRY)}),
    ],
)
def test_an_older_version_is_read(content, entries):
    write(content)
    known = progress.load()
    assert (known.entries, known.notice) == (entries, "")


BROKEN = [
    b'"version": 1, "exerci',
    b'"more": "\xff\xfe"}',
    b'"exercises": []}',
    b'"exercises": {"linear": 3}}',
    b'"exercises": {"linear": {"hints": "2"}}}',
    b'"exercises": {"linear": {"passed": 1}}}',
    b'"exercises": {"linear": {"hints": -7}}}',
    b'"exercises": {"linear": {"file": "a\\u0000b"}}}',
    b'"exercises": {"linear": {"file": "\\ud800"}}}',
    b'"version": "1"}',
    b"[" * 100_000,
]
BEGINNING = b'{"program": "nnx-state practice", '


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_kept_and_a_new_one_begins(content):
    path = write(BEGINNING + content)
    assert "The progress file could not be read (" in progress.load().notice
    assert path.read_bytes() == BEGINNING + content  # to look is not to change
    with progress.changing() as known:
        assert known.entries == {}
    kept = path.with_name("progress.json.broken-1")
    assert f"It is kept as {kept}, and a new one begins." in known.notice
    assert kept.read_bytes() == BEGINNING + content
    assert progress.load().notice == ""


def test_a_second_broken_file_does_not_replace_the_first():
    for content in (b"first", b"second"):
        write(BEGINNING + content)
        add_hint(0)
    folder = progress.default_path().parent
    kept = [(folder / f"progress.json.broken-{n}").read_bytes() for n in (1, 2)]
    assert kept == [BEGINNING + b"first", BEGINNING + b"second"]


FOREIGN = [
    b"",
    b"{",
    b"{}",
    b"[]",
    b"3",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"version": 1}',
    b'{"exercises": {}}',
    b'{"version": 1, "exercises": {"squat": {"hints": 3}}}',
    b'{"version": 1, "exercises": {"linear": 3}}',
    b'{"version": 1, "exercises": {}, "owner": "somebody"}',
    b'{"name": "mine", "program": "nnx-state practice"}',
]


@pytest.mark.parametrize("content", FOREIGN)
def test_a_file_of_somebody_else_is_refused_and_left_alone(content):
    path = write(content)
    for use in (progress.load, lambda: add_hint(0)):
        with pytest.raises(RefusedError, match=r"is no progress file of nnx-state: move it away, or set NNX_STATE"):
            use()
    assert path.read_bytes() == content
    assert [found.name for found in path.parent.iterdir()] == ["progress.json"]


def test_what_is_no_file_is_refused_and_left_alone(monkeypatch, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    made = [folder / "fifo", tmp_path]
    if os.getuid() == 0:  # others may make no device, and so may not rename one
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        (folder / "link").symlink_to("null")
        made += [folder / "null", folder / "link"]
    before = {path: path.lstat() for path in folder.iterdir()}
    for path in made:
        monkeypatch.setenv("NNX_STATE_PROGRESS", str(path))
        for use in (progress.load, lambda: add_hint(0)):
            with pytest.raises(RefusedError, match=r"is a (FIFO|directory|device) and no regular file: name another"):
                use()
    after = {path: path.lstat() for path in folder.iterdir()}
    assert [(one.st_mode, one.st_ino, one.st_rdev) for one in after.values()] == [
        (one.st_mode, one.st_ino, one.st_rdev) for one in before.values()
    ]


def test_a_link_to_the_file_stays_one(monkeypatch, tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    monkeypatch.setenv("NNX_STATE_PROGRESS", str(link))
    add_hint(0)
    assert link.is_symlink()
    assert json.loads((tmp_path / "real.json").read_text("utf-8"))["exercises"]["linear"]["hints"] == 1


@pytest.mark.parametrize("name", [".progress.json.nnx-state-lock", "progress.lock", ".progress.json.0.new"])
def test_files_beside_it_are_left_alone(name):
    path = write(OURS)
    other = path.with_name(name)
    other.write_text("mine", "utf-8")
    if name.endswith("nnx-state-lock"):
        with pytest.raises(RefusedError, match="is no lock of nnx-state: move it away"):
            add_hint(0)
    else:
        add_hint(0)
    assert other.read_text("utf-8") == "mine"


def test_what_a_writer_left_that_was_ended_goes_a_minute_later():
    path = write(OURS)
    left, new = (path.with_name(f".progress.json.nnx-state-{number}-0.new") for number in (1, 2))
    for file in (left, new):
        file.write_text("half", "utf-8")
    os.utime(left, (0, 0))
    add_hint(0)
    assert (left.exists(), new.exists()) == (False, True)


def test_a_newer_version_is_left_alone():
    path = write(OURS | {"version": 2})
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=r"is of version 2, this program knows 1: upgrade nnx-state"):
        progress.load()
    with pytest.raises(RefusedError), progress.changing():
        pass
    assert path.read_bytes() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.dictionaries(st.text(), c)))
def test_no_json_stops_it(content):
    write(OURS | {"exercises": content})
    known = progress.load()
    assert known.notice or all(isinstance(entry, Entry) for entry in known.entries.values())


def test_an_error_while_it_is_changed_changes_nothing():
    write(OURS | {"exercises": {"linear": ENTRY}})
    with pytest.raises(ZeroDivisionError), progress.changing() as known:
        known.of("linear").passed = 1 / 0
    assert progress.load().entries == {"linear": Entry(**ENTRY)}


def add_hint(_):
    with progress.changing() as known:
        known.of("linear").hints += 1


def test_changes_of_several_processes_all_count():
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_hint, range(40)))
    processes = [multiprocessing.get_context("spawn").Process(target=add_hint, args=(0,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert progress.load().of("linear").hints == 42


def test_another_process_that_holds_it_is_named(monkeypatch):
    path = write(OURS)
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    with (
        filelock.FileLock(path.with_name(".progress.json.nnx-state-lock"), thread_local=False),
        pytest.raises(RefusedError, match=r"Another nnx-state holds .*progress.json: end it, or wait for it\."),
        progress.changing(),
    ):
        pass


def test_a_place_that_cannot_be_written_is_named(monkeypatch):
    monkeypatch.setenv("NNX_STATE_PROGRESS", "/proc/nothing/progress.json")
    with pytest.raises(RefusedError, match=r"/proc/nothing/progress.json cannot be written: No such file"):
        add_hint(0)
    monkeypatch.setenv("NNX_STATE_PROGRESS", "/proc")
    with pytest.raises(RefusedError, match=r"The progress file cannot be used: /proc is a directory and no regular"):
        progress.load()
