"""What a learner has started, passed and looked up: one small file, replaced as a whole, that survives a crash."""

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from nnx_state._outcome import RefusedError
from nnx_state.practice import files

VERSION = 1
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
        entries: what is known of each exercise that was ever started, by its slug.
        notice: what was wrong with the file, if anything was; for the learner to read.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    notice: str = ""

    def of(self, slug: str) -> Entry:
        """Return what is known of an exercise."""
        return self.entries.setdefault(slug, Entry())


def default_path() -> Path:
    """Return where the file lies: in the user's folder for state, or where NNX_STATE_PROGRESS says."""
    given = os.environ.get("NNX_STATE_PROGRESS")
    return Path(given) if given else platformdirs.user_state_path("nnx-state") / "progress.json"


def load() -> Progress:
    """Read the progress.

    A file that cannot be understood is renamed, so that nothing is lost, and progress starts afresh.

    Raises:
        RefusedError: If a newer version of this program wrote the file, or it cannot be read or renamed.
    """
    path = default_path()
    try:
        return Progress(_entries(json.loads(path.read_text("utf-8"))))
    except FileNotFoundError:
        return Progress()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        kept = _free_name(path)
        with files.refusing(f"{path} cannot be written"):
            path.rename(kept)
        why = f"The progress file could not be read ({type(error).__name__}: {error})."
        return Progress(notice=f"{why} It is kept as {kept}, and a new one begins.")
    except OSError as error:
        raise RefusedError(f"The progress file {path} cannot be read: {error.strerror}.") from None


@contextlib.contextmanager
def changing() -> Iterator[Progress]:
    """Read the progress, let it be changed, and write it back; other processes wait meanwhile.

    Raises:
        RefusedError: As in `load`, and if the file cannot be written.
    """
    path = default_path()
    lock = filelock.FileLock(path.with_suffix(".lock"), timeout=PATIENCE)
    with files.refusing(f"{path} cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise RefusedError(f"Another nnx-state holds {path}: end it, or wait for it.") from None
    try:
        progress = load()
        yield progress
        entries = {slug: asdict(entry) for slug, entry in progress.entries.items()}
        files.replace(path, json.dumps({"version": VERSION, "exercises": entries}, indent=2) + "\n")
    finally:
        lock.release()


def _entries(content: Any) -> dict[str, Entry]:
    """Take what an older version wrote too: fields that it did not know have their defaults."""
    if content.get("version", 0) > VERSION:
        raise RefusedError(
            f"The progress file {default_path()} is of version {content['version']}, this program knows {VERSION}: "
            "upgrade nnx-state, or move the file away."
        )
    known = {field.name: type(field.default) for field in fields(Entry)}
    entries = {}
    for slug, entry in content.get("exercises", {}).items():
        kept = {name: value for name, value in entry.items() if name in known}
        if wrong := [name for name, value in kept.items() if type(value) is not known[name]]:
            raise TypeError(f"{slug} has {wrong[0]} {kept[wrong[0]]!r}")
        entries[slug] = Entry(**kept)
    return entries


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.broken-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())
