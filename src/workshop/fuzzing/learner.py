"""A learner who has done something before: a folder of attempts, and beside it the progress and temporary files."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nnx_state import _files
from nnx_state._outcome import RefusedError
from nnx_state.practice import progress, scratch
from nnx_state.practice.exercises import exercise

FOREIGN = "somebody's, and of no concern to this program\n"
BROKEN = b'{"program": "nnx-state practice", "version": 1, "exer'
NOT_OURS = b'{"somebody": "has this"}\n'
OTHER = {"broken": BROKEN, "foreign": NOT_OURS}
KINDS = ("new", "known", *OTHER)  # what the progress file is before


@dataclass(frozen=True)
class Learner:
    """Where a learner works.

    Attributes:
        home: all is in this folder.
    """

    home: Path

    @property
    def work(self) -> Path:
        """Return the folder of the attempts."""
        return self.home / "work"

    @property
    def state(self) -> Path:
        """Return the folder of the progress file."""
        return self.home / "state"

    @property
    def variables(self) -> dict[str, str]:
        """Return what the environment says of these places, and what keeps runs alike."""
        return {
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "temporary"),
            "NNX_STATE_PROGRESS": str(self.state / "progress.json"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
        }

    def prepare(self, kind: str) -> None:
        """Lay out the files of a learner who is new or known, or whose progress file is broken or somebody else's."""
        for name in ("work", "state", "temporary"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        (self.state / "notes.txt").write_text(FOREIGN, "utf-8")
        (self.work / "notes.txt").write_text(FOREIGN, "utf-8")
        if kind == "known":
            with progress.changing() as known:
                known.of("filters").hints, known.of("filters").passed = 2, True
                known.begin("linear", str(self.work / "linear.py"))
        elif kind in OTHER:
            progress.default_path().write_bytes(OTHER[kind])

    def texts(self) -> set[str]:
        """Return what the files of the learner say, but for empty ones and those that this program has written."""
        ours = {exercise(name).starter for name in ("multi-param", "homes")} | {"", FOREIGN}
        found = set()
        for path in self.work.iterdir():
            if not path.name.startswith("."):
                found.add(path.read_text("utf-8"))
        return found - ours

    def complaints(self, kind: str) -> list[str]:
        """Return what is not as it should be, whatever has happened; `kind` says what the progress file was before."""
        foreign = [folder for folder in (self.state, self.work) if (folder / "notes.txt").read_text("utf-8") != FOREIGN]
        found = [f"a foreign file in {folder.name} has changed" for folder in foreign]
        if kind == "foreign":
            if progress.default_path().read_bytes() != NOT_OURS:
                found.append("a foreign file at the place of the progress file has changed")
            return found
        known = progress.load()
        if kind == "known" and (known.notice or not known.of("filters").passed or known.of("filters").hints != 2):
            found.append(f"what was known before is lost: {known}")
        if kind == "new" and known.notice:
            found.append(known.notice)
        if kind == "broken" and BROKEN not in [path.read_bytes() for path in self.state.glob("progress.json*")]:
            found.append("the broken progress file is lost")
        return found

    def left(self) -> list[str]:
        """Return the names of files that stay though nobody needs them, after another run that is much later."""
        hour, minute = scratch.HOUR, _files.MINUTE
        scratch.HOUR = _files.MINUTE = -1
        try:
            scratch.sweep()
            with contextlib.suppress(RefusedError), progress.changing():  # where the file is foreign, nothing is left
                pass
            for name in ("multi-param", "homes", "linear"):
                _files.write_new(self.work / exercise(name).filename, exercise(name).starter)
        finally:
            scratch.HOUR, _files.MINUTE = hour, minute
        places = [*self.state.glob(".*.new"), *self.work.glob(".*.new"), *(self.home / "temporary").iterdir()]
        return [path.name for path in places]


@contextmanager
def learner(kind: str) -> Iterator[Learner]:
    """Make a learner, whose places this process sees as its own meanwhile."""
    with tempfile.TemporaryDirectory(prefix="nnx-state-fuzzing-") as name:
        one = Learner(Path(name).resolve())
        before, directory, folder = dict(os.environ), tempfile.tempdir, Path.cwd()
        os.environ.update(one.variables)
        tempfile.tempdir = one.variables["TMPDIR"]
        try:
            one.prepare(kind)
            os.chdir(one.work)
            yield one
        finally:
            os.chdir(folder)
            tempfile.tempdir = directory
            os.environ.clear()
            os.environ.update(before)
