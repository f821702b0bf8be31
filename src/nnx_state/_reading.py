"""The one place that opens a file of a user to read: a regular file or a link to one, of bounded size, read once."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from nnx_state._outcome import RefusedError

LONGEST = 1_000_000  # bytes of an attempt, a progress file or a baseline
SHOWN = 200  # characters of a line that is shown
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",  # only where a link is not followed
}
# Where there is no such flag, there is nothing that it would guard from: no FIFO that waits, no terminal to take over.
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


@dataclass(frozen=True)
class Source:
    r"""The text of an attempt, as it was when it was read; nothing opens the file again.

    Attributes:
        path: where it was read.
        text: what it said, with `\n` between the lines.
    """

    path: Path
    text: str

    def line(self, number: int) -> str:
        """Return a line as Python counts them, from 1, without what is around it; nothing if there is no such line.

        A line that is too long to be shown is cut.
        """
        lines = self.text.split("\n")  # str.splitlines would also split at characters that Python takes for text
        line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def attempt(path: Path) -> Source:
    """Read an attempt: text in UTF-8, with or without a byte order mark, its lines ended in any of the usual ways.

    Raises:
        RefusedError: If there is no such file, or it is something else than a text of at most a million bytes.
    """
    try:
        data = contents(path)
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror}"
        raise RefusedError(f"{why}. `nnx-state practice start` writes a file to begin with.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedError(f"{path} is not text in UTF-8 (byte {error.start}): save it in that encoding.") from None
    return Source(path, text.replace("\r\n", "\n").replace("\r", "\n"))


def contents(path: Path) -> bytes:
    """Return what a file holds.

    Raises:
        OSError: If it cannot be read.
        RefusedError: If it is no regular file, holds more than a million bytes, or changes while it is read.
    """
    require_regular(path, path.stat())  # to open a device can do something already
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        before = os.fstat(file.fileno())
        require_regular(path, before)
        data = file.read(LONGEST + 1)
        after = os.fstat(file.fileno())
    if len(data) > LONGEST:
        size = max(after.st_size, len(data))
        raise RefusedError(f"{path} has {size} bytes, {LONGEST} are allowed: is it the file that you mean?")
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise RefusedError(f"{path} changed while it was read: try again when it is saved.")
    return data


def require_regular(path: Path, status: os.stat_result) -> None:
    """Refuse what is no regular file.

    Raises:
        RefusedError: If the status is that of a directory, a FIFO, a device or a socket.
    """
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise RefusedError(f"{path} is {_KINDS.get(kind, 'something else')} and no regular file: name another one.")
