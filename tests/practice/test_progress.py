"""The progress file: what it keeps, and what happens when it is broken, old, new, locked or out of reach."""

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import filelock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnx_state._outcome import RefusedError
from nnx_state.practice import progress
from nnx_state.practice.progress import Entry

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
    assert [path.name for path in progress.default_path().parent.glob("*.json*")] == ["progress.json"]


def test_without_a_setting_it_lies_in_the_folder_for_state(monkeypatch, tmp_path):
    monkeypatch.delenv("NNX_STATE_PROGRESS")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert progress.default_path() == tmp_path / "nnx-state" / "progress.json"


@pytest.mark.parametrize(
    ("content", "entries"),
    [
        ({}, {}),
        ({"exercises": {"linear": {}}}, {"linear": Entry()}),
        ({"version": 0, "exercises": {"linear": {"passed": True}}}, {"linear": Entry(passed=True)}),
        ({"version": 1, "exercises": {"linear": ENTRY | {"more": 1}}}, {"linear": Entry(**ENTRY)}),
    ],
)
def test_an_older_version_is_read(content, entries):
    write(content)
    known = progress.load()
    assert (known.entries, known.notice) == (entries, "")


BROKEN = [
    b"",
    b'{"version": 1, "exerci',
    b"\xff\xfe",
    b"[]",
    b"3",
    b'{"exercises": []}',
    b'{"exercises": {"linear": 3}}',
    b'{"exercises": {"linear": {"hints": "2"}}}',
    b'{"exercises": {"linear": {"passed": 1}}}',
    b'{"version": "1"}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_kept_and_a_new_one_begins(content):
    path = write(content)
    known = progress.load()
    assert known.entries == {}
    kept = path.with_name("progress.json.broken-1")
    assert f"It is kept as {kept}, and a new one begins." in known.notice
    assert kept.read_bytes() == content
    assert not path.exists()


def test_a_second_broken_file_does_not_replace_the_first():
    for content in (b"first", b"second"):
        write(content)
        progress.load()
    folder = progress.default_path().parent
    assert [(folder / f"progress.json.broken-{n}").read_bytes() for n in (1, 2)] == [b"first", b"second"]


def test_a_newer_version_is_left_alone():
    path = write({"version": 2, "exercises": {}})
    before = path.read_bytes()
    with pytest.raises(RefusedError, match=r"is of version 2, this program knows 1: upgrade nnx-state"):
        progress.load()
    with pytest.raises(RefusedError), progress.changing():
        pass
    assert path.read_bytes() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.dictionaries(st.text(), c)))
def test_no_json_stops_it(content):
    write({"exercises": content})
    known = progress.load()
    assert known.notice or all(isinstance(entry, Entry) for entry in known.entries.values())


def test_an_error_while_it_is_changed_changes_nothing():
    write({"exercises": {"linear": ENTRY}})
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
    path = write({})
    monkeypatch.setattr(progress, "PATIENCE", 0.1)
    with (
        filelock.FileLock(path.with_suffix(".lock"), thread_local=False),
        pytest.raises(RefusedError, match=r"Another nnx-state holds .*progress.json: end it, or wait for it\."),
        progress.changing(),
    ):
        pass


def test_a_place_that_cannot_be_written_is_named(monkeypatch):
    monkeypatch.setenv("NNX_STATE_PROGRESS", "/proc/nothing/progress.json")
    with pytest.raises(RefusedError, match=r"/proc/nothing/progress.json cannot be written: No such file"):
        add_hint(0)
    monkeypatch.setenv("NNX_STATE_PROGRESS", "/proc")
    with pytest.raises(RefusedError, match=r"The progress file /proc cannot be read: Is a directory"):
        progress.load()
