"""Write files of a learner so that nothing is lost and nothing is half written, even after a crash."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from nnx_state._outcome import RefusedError
from nnx_state.practice.reading import require_regular


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
    if path.exists():
        return False
    with refusing(f"{path} cannot be written", " Name another folder."):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _written_beside(path, text) as new:
            return _link(new, path)


def back_up(path: Path) -> Path | None:
    """Keep a file under the first free name beside it, and return that name; without a file, nothing.

    Raises:
        RefusedError: If it cannot be kept, or is no regular file.
    """
    if not os.path.lexists(path):
        return None
    names = (path.with_name(f"{path.stem}.{number}.bak{path.suffix}") for number in itertools.count(1))
    with refusing(f"{path} cannot be kept under another name"):
        require_regular(path, path.lstat())
        return next(name for name in names if not os.path.lexists(name) and _link(path, name))


@contextlib.contextmanager
def refusing(what: str, advice: str = "") -> Iterator[None]:
    """Turn an error of the operating system into one that says what cannot be done, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise RefusedError(f"{what}: {error.strerror}.{advice}") from None


@contextlib.contextmanager
def _written_beside(path: Path, text: str) -> Iterator[Path]:
    """Write a text to the disk under a name that is free, which is gone afterwards."""
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
        new = path.with_name(f".{path.name}.{os.getpid()}-{number}.new")
        with contextlib.suppress(FileExistsError):
            return new.open("x", encoding="utf-8", newline="\n"), new
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
