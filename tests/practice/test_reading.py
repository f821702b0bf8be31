"""An attempt is opened once: what was read is what is graded, shown and counted; what is no file is refused."""

import os
import socket
import stat
from pathlib import Path

import pytest

from nnx_state import _reading
from nnx_state._outcome import RefusedError
from nnx_state.practice import reports
from nnx_state.practice.exercises import exercise
from nnx_state.practice.grading import grade
from workshop.attempts import forked

SEED = exercise("multi-param")
MISTAKE = SEED.wrong["count-param"].source


@pytest.fixture
def path(tmp_path):
    return tmp_path / SEED.filename


@pytest.mark.parametrize(
    "written",
    [MISTAKE.encode("utf-8-sig"), MISTAKE.replace("\n", "\r\n").encode(), MISTAKE.replace("\n", "\r").encode()],
    ids=["bom", "crlf", "cr"],
)
def test_text_is_read_however_it_is_saved(path, written):
    path.write_bytes(written)
    report = grade(SEED, path, runner=forked)
    finding = report.found[0].finding
    assert (finding.name, finding.line) == ("count-param", 12)
    assert "multi_param.py:12: self.count = nnx.Param(jnp.array(0.0))" in reports.text(report)


def test_a_declared_encoding_changes_nothing(path):
    path.write_text(f"# -*- coding: latin-1 -*-\nassert len('é水') == 2\n{SEED.solution}", "utf-8")
    assert grade(SEED, path, runner=forked).passed


def test_lines_are_counted_as_python_counts_them(path):
    odd = "x = '\u2028 \u0085'  # \x0c\n"
    path.write_text(odd + MISTAKE, "utf-8")
    report = grade(SEED, path, runner=forked)
    assert report.found[0].finding.line == 13
    assert "multi_param.py:13: self.count = nnx.Param(jnp.array(0.0))" in reports.text(report)


@pytest.mark.parametrize("change", ["removed", "replaced", "folder"])
def test_a_file_that_changes_during_the_check_makes_no_difference(path, change):
    path.write_text(MISTAKE, "utf-8")

    def changing(question):
        path.unlink()
        if change == "replaced":
            path.write_text("x = [", "utf-8")
        elif change == "folder":
            path.mkdir()
        return forked(question)

    report = grade(SEED, path, runner=changing)
    assert report.found[0].finding.name == "count-param"
    assert "multi_param.py:12: self.count = nnx.Param(jnp.array(0.0))" in reports.text(report)


def test_a_line_that_is_too_long_to_be_shown_is_cut(path):
    path.write_text(f"x = 1\n  x = '{'a' * 300_000}'", "utf-8")
    source = _reading.attempt(path)
    assert (source.line(1), source.line(2)) == ("x = 1", f"x = '{'a' * 195}…")


def test_a_link_to_a_file_is_one(path, tmp_path):
    (tmp_path / "elsewhere").write_text("x = 1", "utf-8")
    path.symlink_to("elsewhere")
    assert _reading.attempt(path) == _reading.Source(path, "x = 1")


def fifo(path):
    os.mkfifo(path)


def bound(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)  # such an address has to be short


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (fifo, "a FIFO"),
        (bound, "a socket"),
        (Path.mkdir, "a directory"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
    ids=["fifo", "socket", "directory", "device"],
)
def test_what_is_no_file_is_refused_without_being_opened(make, what, path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    make(path)
    monkeypatch.setattr(os, "open", None)
    with pytest.raises(RefusedError) as error:
        _reading.attempt(path)
    assert str(error.value) == f"{path} is {what} and no regular file: name another one."


def test_a_fifo_that_takes_the_place_of_the_file_stops_nothing(path, monkeypatch):
    path.write_text("x = 1", "utf-8")
    regular = path.stat()
    path.unlink()
    fifo(path)
    monkeypatch.setattr(type(path), "stat", lambda self: regular)
    with pytest.raises(RefusedError, match="is a FIFO and no regular file"):
        _reading.attempt(path)


def test_a_file_that_is_written_while_it_is_read_is_refused(path, monkeypatch):
    path.write_text("x = 1", "utf-8")
    real = os.fstat

    def fstat(number, seen=[]):  # noqa: B006 - it counts
        status = real(number)
        seen.append(number)
        if len(seen) == 1:
            path.write_text("x = 12", "utf-8")
        return status

    monkeypatch.setattr(_reading.os, "fstat", fstat)
    with pytest.raises(RefusedError, match=r"changed while it was read: try again when it is saved\."):
        _reading.attempt(path)


@pytest.mark.parametrize("size", [1_000_000, 1_000_001])
def test_at_most_a_million_bytes_are_read(path, size):
    path.write_bytes(b"#" * size)
    if size <= _reading.LONGEST:
        assert len(_reading.attempt(path).text) == size
    else:
        with pytest.raises(RefusedError, match=rf"has {size} bytes, 1000000 are allowed: is it the file that you mean"):
            _reading.attempt(path)


def test_a_file_that_grows_without_end_is_read_up_to_the_limit(path, monkeypatch):
    """As /dev/zero would be, if it called itself a regular file."""
    path.symlink_to("/dev/zero")
    monkeypatch.setattr(stat, "S_IFMT", lambda mode: stat.S_IFREG)
    with pytest.raises(RefusedError, match="has 1000001 bytes, 1000000 are allowed"):
        _reading.attempt(path)


def test_a_file_that_nobody_may_read_is_told(path, monkeypatch):
    path.write_text("x = 1", "utf-8")

    def refused(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(RefusedError, match=r"cannot be read: Permission denied\. `nnx-state practice start` writes"):
        _reading.attempt(path)
