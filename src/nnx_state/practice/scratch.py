"""A folder for one run. It is removed when the run is over, or at the next start if nobody was left to remove it."""

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from nnx_state import _files

PREFIX = "nnx-state-run-"
MARK = "held"  # the lock that tells whether the run of a folder goes on
HOUR = 3600.0  # seconds, after which nobody is about to lock a folder that is empty
ADVICE = " Make room there, or set TMPDIR."


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a folder, and remove it with all that is in it.

    Raises:
        RefusedError: If it cannot be made.
    """
    sweep()
    with _files.refusing(f"No folder can be made in {tempfile.gettempdir()}", ADVICE):
        made = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
    with made as name:
        with _files.refusing(f"{name} cannot be written", ADVICE):
            lock = filelock.FileLock(Path(name, MARK))
            lock.acquire()
        try:
            yield Path(name)
        finally:
            with contextlib.suppress(OSError):  # the end of this process frees it as well
                lock.release()
            remove(Path(name))


def remove(folder: Path) -> None:
    """Remove the folder of a run, and its mark last: without it, nobody could tell later whose the rest is."""
    for path in folder.glob("*"):
        if path.name != MARK:
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Remove the folders of runs that were ended before they could do so."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, filelock.Timeout):  # it is in use, or gone already
            if not _is_of_this_user(path):
                continue
            if _is_held_or_left(path):
                with filelock.FileLock(path / MARK, timeout=0):
                    remove(path)
            elif time.time() - path.lstat().st_mtime > HOUR:
                path.rmdir()  # ended before it was locked; what is not empty stays


def _is_held_or_left(path: Path) -> bool:
    """Tell whether a folder holds the lock of a run."""
    try:
        mark = (path / MARK).lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(mark.st_mode) and not mark.st_size


def _is_of_this_user(path: Path) -> bool:
    """Tell whether this user has made a folder: what stands in one of somebody else's can change at any moment."""
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) and (os.name != "posix" or status.st_uid == os.getuid())
