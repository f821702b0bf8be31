"""Write files of a user so that nothing is lost and nothing is half written, even after a crash."""

import contextlib
import glob
import itertools
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from nnx_state._outcome import RefusedError
from nnx_state._reading import require_regular

MINUTE = 60.0  # seconds, after which nobody is about to finish a file that was begun


def replace(path: Path, text: str) -> None:
    """Write a file as a whole: whoever reads it meets the old text or the new one.

    Raises:
        RefusedError: If it cannot be written, or something else than a regular file has its name.
    """
    with refusing(f"{path} cannot be written"):
        if os.path.lexists(path):
            require_regular(path, path.lstat())
        with _written_beside(path, text) as new:
            new.replace(path)


def write_new(path: Path, text: str) -> bool:
    """Write a file that is not there yet, as a whole; tell whether it was written.

    Raises:
        RefusedError: If it cannot be written.
    """
    _sweep_beside(path)
    if os.path.lexists(path):
        return False
    with refusing(f"{path} cannot be written", " Name another folder."):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _written_beside(path, text) as new:
            return _link(new, path)


def renew(path: Path, text: str) -> tuple[Path | None, bool]:
    """Write a file as a whole, and keep what stood there under the first free name beside it.

    What an editor saves meanwhile is either what is kept, or stands there in place of the text.

    Returns:
        The name under which a file is kept, if there was one, and whether the text was written.

    Raises:
        RefusedError: If it cannot be written or kept, or something else than a regular file has its name.
    """
    with refusing(f"{path} cannot be written"), _written_beside(path, text) as new:
        kept = _moved(path)
        try:
            return kept, _link(new, path)
        except OSError:
            if kept and _link(kept, path):
                kept.unlink()
            raise


def absolute(path: Path) -> Path:
    """Return where a path leads, links followed as far as they lead anywhere.

    Raises:
        RefusedError: If it begins at the current folder, and that is gone.
    """
    with refusing("The folder that you are in cannot be found", " Change into another one."):
        return Path(os.path.realpath(path))  # unlike `Path.resolve`, it takes links that lead in a circle


def of_user(place: Callable[[str], Path]) -> Path | None:
    """Return the folder that a user has for this program; nothing where nobody knows the user, and HOME is not set.

    Args:
        place: such as `platformdirs.user_state_path`.
    """
    try:
        folder = place("nnx-state")
    except RuntimeError:
        return None
    return folder if folder.is_absolute() else None  # earlier releases give a folder that is named `~`


@contextlib.contextmanager
def refusing(what: str, advice: str = "") -> Iterator[None]:
    """Turn an error of the operating system into one that says what cannot be done, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise RefusedError(f"{what}: {error.strerror or error}.{advice}") from None


@contextlib.contextmanager
def _written_beside(path: Path, text: str) -> Iterator[Path]:
    """Write a text to the disk under a name that is free, which is gone afterwards."""
    _sweep_beside(path)
    file, new = _opened_beside(path)
    try:
        with file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield new
    finally:
        new.unlink(missing_ok=True)


def _opened_beside(path: Path) -> tuple[TextIO, Path]:
    """Open a new file beside another one; what has a name already, of whomever, is left alone."""
    for number in itertools.count():
        new = path.with_name(f"{_beginning(path)}{os.getpid()}-{number}.new")
        with contextlib.suppress(FileExistsError):
            return new.open("x", encoding="utf-8", newline="\n"), new
    raise AssertionError("some number is free")


def _beginning(path: Path) -> str:
    return f".{path.name}.nnx-state-"


def _sweep_beside(path: Path) -> None:
    """Remove what stayed beside a file because its writer was ended."""
    for left in path.parent.glob(f"{glob.escape(_beginning(path))}*-*.new"):
        with contextlib.suppress(OSError):  # it is gone already, or may not be removed
            status = left.lstat()
            if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > MINUTE:
                left.unlink()


def _moved(path: Path) -> Path | None:
    """Give a file the first free name beside it in place of its own, and return that name; without a file, nothing."""
    if not os.path.lexists(path):
        return None
    require_regular(path, path.lstat())
    for number in itertools.count(1):
        name = path.with_name(f"{path.stem}.{number}.bak{path.suffix}")
        try:
            name.open("x").close()  # so that nobody else takes it
        except FileExistsError:
            continue
        try:
            path.replace(name)
        except OSError:
            name.unlink()
            raise
        return name
    raise AssertionError("some number is free")


def _link(old: Path, new: Path) -> bool:
    """Give a file a second name, if nothing has that name, in one step; where there are no links, copy it."""
    try:
        os.link(old, new)
    except FileExistsError:
        return False
    except OSError:
        return _copied(old, new)
    return True


def _copied(old: Path, new: Path) -> bool:
    """Copy a file to a name that nothing has; what cannot be copied whole is taken away again."""
    try:
        copy = new.open("xb")
    except FileExistsError:
        return False
    try:
        with copy, old.open("rb") as content:
            shutil.copyfileobj(content, copy)
    except OSError:
        new.unlink()
        raise
    return True
