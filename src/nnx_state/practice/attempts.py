"""The attempts at an exercise: the wrong ones that prove its diagnoses, and right ones beside its solution.

Most are changes of the solution: those that make a mistake stand below the words of its diagnosis in `diagnoses.toml`,
those of right attempts in `variants.toml`. What is another program altogether is a file in `mistakes/` or `variants/`.
Nothing here imports JAX.
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnx_state.practice.changes import ChangeError, changed

PROOF, SPELLING = "proof", "spelling"  # the keys of a diagnosis that hold changes and no words
DASHES = "--"  # between the name of a diagnosis and that of a spelling


class AttemptError(ValueError):
    """What is written of attempts cannot be used; the message names the entry and says what to do."""


@dataclass(frozen=True)
class Attempt:
    """A whole program.

    Attributes:
        name: of a wrong one its diagnosis, and behind two dashes its spelling if it is not the plain one.
        source: its text.
    """

    name: str
    source: str

    @property
    def diagnosis(self) -> str:
        """Return the name of the diagnosis that a wrong attempt gets."""
        return self.name.partition(DASHES)[0]

    @property
    def spelling(self) -> str:
        """Return what tells a wrong attempt from others with its diagnosis; nothing for the plain one."""
        return self.name.partition(DASHES)[2]


def read(file: Path) -> dict[str, Any]:
    """Return what a TOML file says.

    Raises:
        AttemptError: If it is not TOML.
    """
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise AttemptError(f"{file.parent.name}/{file.name} is not TOML: {error}") from None


def wrong(folder: Path, solution: str, entries: dict[str, Any]) -> dict[str, Attempt]:
    """Return the wrong attempts at an exercise by their names, those of its entries first.

    Args:
        folder: the folder of the exercise.
        solution: the text that the changes are made to.
        entries: what its `diagnoses.toml` says, by the names of the diagnoses.

    Raises:
        AttemptError: If changes cannot be made, or two attempts have one name or are one program.
    """
    return _told_apart(folder.name, [*_proofs(folder, solution, entries), *_files(folder / "mistakes")])


def right(folder: Path, solution: str) -> dict[str, Attempt]:
    """Return the right attempts at an exercise by their names, its solution first.

    Args:
        folder: the folder of the exercise.
        solution: the text that the changes are made to.

    Raises:
        AttemptError: If changes cannot be made, or two attempts have one name or are one program.
    """
    first = Attempt("solution", solution)
    return _told_apart(folder.name, [first, *_variants(folder, solution), *_files(folder / "variants")])


def _proofs(folder: Path, solution: str, entries: dict[str, Any]) -> Iterator[Attempt]:
    for diagnosis, entry in entries.items():
        where = f"{folder.name}/diagnoses.toml, [{diagnosis}]"
        if PROOF in entry:
            yield Attempt(diagnosis, _made(f"{where} {PROOF}", solution, entry[PROOF]))
        for spelling, changes in entry.get(SPELLING, {}).items():
            source = _made(f"{where} {SPELLING}.{spelling}", solution, changes)
            yield Attempt(f"{diagnosis}{DASHES}{spelling}", source)


def _variants(folder: Path, solution: str) -> Iterator[Attempt]:
    file = folder / "variants.toml"
    if file.exists():
        for name, changes in read(file).items():
            yield Attempt(name, _made(f"{folder.name}/{file.name}, {name}", solution, changes))


def _files(folder: Path) -> list[Attempt]:
    return [Attempt(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.py"))]


def _made(where: str, solution: str, changes: str) -> str:
    """Return what changes make of the solution; an error names the entry that they stand in."""
    try:
        return changed(solution, changes)
    except ChangeError as error:
        raise AttemptError(f"{where}: {error}") from None


def _told_apart(exercise: str, attempts: Iterable[Attempt]) -> dict[str, Attempt]:
    """Return attempts by their names; no two have one name, and no two are the same program."""
    found: dict[str, Attempt] = {}
    names: dict[str, str] = {}
    for attempt in attempts:
        if attempt.name in found:
            raise AttemptError(f"{exercise}: two attempts are named {attempt.name}: give one another name")
        if attempt.source in names:
            both = f"{names[attempt.source]} and {attempt.name}"
            raise AttemptError(f"{exercise}: {both} are the same program: take one away, or spell it otherwise")
        found[attempt.name] = attempt
        names[attempt.source] = attempt.name
    return found
