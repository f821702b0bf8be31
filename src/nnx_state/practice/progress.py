"""What a learner has started, passed and looked up: one small file, replaced as a whole, that survives a crash.

The file begins with a mark by which it is recognised. What stands in its place without that mark is somebody else's: it
is refused, and never renamed, moved or overwritten.
"""

import contextlib
import itertools
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from nnx_state import _files, _reading
from nnx_state._outcome import RefusedError
from nnx_state.practice.exercises import SLUGS

VERSION = 1
MARK = "nnx-state practice"  # the first thing in the file, under the key `program`
PATIENCE = 10  # seconds to wait for another process


@dataclass
class Entry:
    """One exercise of a learner.

    Attributes:
        file: where the learner works on it; empty if it was never started.
        hints: how many hints were shown.
        passed: it has passed once.
    """

    file: str = ""
    hints: int = 0
    passed: bool = False


@dataclass
class Progress:
    """All exercises of a learner.

    Attributes:
        entries: what is known of each exercise that was ever started, by its slug; the one begun last stands last.
        notice: what was wrong with the file, if anything was; for the learner to read.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    notice: str = ""

    def of(self, slug: str) -> Entry:
        """Return what is known of an exercise."""
        return self.entries.setdefault(slug, Entry())

    def begin(self, slug: str, file: str) -> None:
        """Note where the learner works on an exercise from now on."""
        entry = self.entries.pop(slug, Entry())
        entry.file = file
        self.entries[slug] = entry

    def last_begun(self) -> str:
        """Return the slug of the exercise that was begun last; nothing if none was."""
        return next((slug for slug, entry in reversed(self.entries.items()) if entry.file), "")


def default_path() -> Path:
    """Return where the file lies: in the user's folder for state, or where NNX_STATE_PROGRESS says.

    Raises:
        RefusedError: If the user has no such folder.
    """
    if given := os.environ.get("NNX_STATE_PROGRESS"):
        return _files.absolute(Path(given))  # a link stays one
    if folder := _files.of_user(platformdirs.user_state_path):
        return _files.absolute(folder / "progress.json")
    raise RefusedError("There is no home folder to keep your progress in: set HOME, or NNX_STATE_PROGRESS.")


def load() -> Progress:
    """Read the progress.

    Raises:
        RefusedError: If the file cannot be read, is not one of this program, or a newer version wrote it.
    """
    progress, broken = _read(default_path())
    if broken:
        notice = f"The progress file could not be read ({broken}). The next change keeps it under another name."
        return Progress(notice=notice)
    return progress


@contextlib.contextmanager
def changing() -> Iterator[Progress]:
    """Read the progress, let it be changed, and write it back; other processes wait meanwhile.

    A file of this program that cannot be understood is kept under another name, so that nothing is lost.

    Raises:
        RefusedError: As in `load`, and if the file cannot be written.
    """
    path = default_path()
    _read(path)  # nothing is written beside a file that is refused
    with _lock(path):
        progress, broken = _read(path)
        if broken:
            kept = _free_name(path)
            with _files.refusing(f"{path} cannot be written"):
                path.rename(kept)
            why = f"The progress file could not be read ({broken})."
            progress = Progress(notice=f"{why} It is kept as {kept}, and a new one begins.")
        yield progress
        entries = {slug: asdict(entry) for slug, entry in progress.entries.items()}
        content = {"program": MARK, "version": VERSION, "exercises": entries}
        _files.replace(path, json.dumps(content, indent=2) + "\n")


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Keep other processes of this program out.

    Raises:
        RefusedError: If one of them stays in, or the name of the lock is that of somebody's file.
    """
    name = path.with_name(f".{path.name}.nnx-state-lock")
    lock = filelock.FileLock(name, timeout=PATIENCE)
    with _files.refusing(f"{path} cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(name):
            status = name.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_size:  # ours is empty
                raise RefusedError(f"{name} is no lock of nnx-state: move it away, or set NNX_STATE_PROGRESS.")
        try:
            lock.acquire()
        except filelock.Timeout:
            raise RefusedError(f"Another nnx-state holds {path}: end it, or wait for it.") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the end of this process frees it as well
            lock.release()


def _read(path: Path) -> tuple[Progress, str]:
    """Return the progress, and why it cannot be understood, if it cannot.

    Raises:
        RefusedError: As in `load`.
    """
    try:
        data = _reading.contents(path)
    except FileNotFoundError:
        return Progress(), ""
    except OSError as error:
        raise RefusedError(f"The progress file {path} cannot be read: {error.strerror}.") from None
    except RefusedError as error:
        raise RefusedError(f"The progress file cannot be used: {error} NNX_STATE_PROGRESS names its place.") from None
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        content = error
    if not (_is_old(content) or _begins_with_mark(data)):
        raise RefusedError(f"{path} is no progress file of nnx-state: move it away, or set NNX_STATE_PROGRESS.")
    try:
        return Progress(_entries(path, content)), ""
    except (ValueError, TypeError, AttributeError) as error:
        return Progress(), f"{type(error).__name__}: {error}"


def _begins_with_mark(data: bytes) -> bool:
    """Tell whether this program wrote a file, though the rest of it may be broken."""
    return b"".join(data[:100].split()).startswith(b"".join(f'{{"program": "{MARK}"'.encode().split()))


def _is_old(content: Any) -> bool:
    """Tell whether some JSON is a progress file from before there was a mark."""
    match content:
        case {"version": 0 | 1, "exercises": dict(exercises), **more} if not more:
            return exercises.keys() <= set(SLUGS) and all(isinstance(entry, dict) for entry in exercises.values())
    return False


def _entries(path: Path, content: Any) -> dict[str, Entry]:
    """Take what an older version wrote too: fields that it did not know have their defaults."""
    if isinstance(content, Exception):
        raise content
    if content.get("version", 0) > VERSION:
        raise RefusedError(
            f"The progress file {path} is of version {content['version']}, this program knows {VERSION}: "
            "upgrade nnx-state, or move the file away."
        )
    known = {field.name: type(field.default) for field in fields(Entry)}
    entries = {}
    for slug, entry in content.get("exercises", {}).items():
        kept = {name: value for name, value in entry.items() if name in known}
        if wrong := [name for name, value in kept.items() if type(value) is not known[name]]:
            raise TypeError(f"{slug} has {wrong[0]} {kept[wrong[0]]!r}")
        entries[slug] = Entry(**kept)
        if entries[slug].hints < 0 or not _can_be_a_path(entries[slug].file):
            raise ValueError(f"{slug} has {entries[slug]}")
    return entries


def _can_be_a_path(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.broken-{number}") for number in itertools.count(1))
    return next(name for name in names if not os.path.lexists(name))
