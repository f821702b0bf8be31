"""The committed verdicts: one file, which says on what sources, versions and machine they were measured."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnx_state.claims.registry import HOLDS, Verdict, source_files

FILE = Path(__file__).with_name("verdicts.json")


@dataclass
class Column:
    """The verdicts on one release of Flax, or on one in a mode of its own, such as tree mode.

    Attributes:
        python: the version of Python, such as `3.11.7`.
        platform: such as `Linux-x86_64`.
        date: the day of the run, as `2026-11-24`.
        versions: those of flax, jax and numpy.
        flags: the variables of the environment under which Flax was imported.
        verdicts: by the name of the claim.
        elsewhere: the verdicts that are others on another version of Python, by that and the name of the claim.
        failed: why there are no verdicts: the release could not be installed or imported, or it was yanked.
    """

    python: str = ""
    platform: str = ""
    date: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    elsewhere: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    failed: str = ""


def sources() -> str:
    """Return a hash of the code on which the verdicts depend."""
    digest = hashlib.sha256()
    for file in source_files():
        digest.update(f"{file.name}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def load(file: Path = FILE) -> tuple[str, dict[str, Column]]:
    """Return the hash of the sources that were measured, and the columns by release, the oldest first."""
    content = json.loads(file.read_text("utf-8"))
    return content["sources"], {release: _column(entry) for release, entry in content["releases"].items()}


def dump(columns: dict[str, Column], hashed: str) -> str:
    """Return the text of the file: one line for each cell, so that a difference shows what has changed."""
    releases = {release: _entry(columns[release]) for release in sorted(columns, key=version)}
    return json.dumps({"sources": hashed, "releases": releases}, indent=1, ensure_ascii=False) + "\n"


def version(column: str) -> tuple[int, ...]:
    """Return the release of a column as numbers, which sort as releases do, and tree mode after its release."""
    release, _, mode = column.partition(" ")
    return (*(int(part) for part in release.split(".") if part.isdigit()), int(bool(mode)))


def nearest(column: str, columns: dict[str, Column]) -> str:
    """Return the measured column of this name, or that of the last release before it, or else the first of all."""
    measured = [name for name, other in columns.items() if not other.failed]
    if column in measured:
        return column
    releases = sorted((name for name in measured if " " not in name), key=version)
    return max((name for name in releases if version(name) <= version(column)), key=version, default=releases[0])


def compare(mine: dict[str, Verdict], theirs: dict[str, Verdict], names: Iterable[str]) -> list[str]:
    """Return one line for each claim of these names on which two columns differ."""
    return [
        f"{name}: {_said('published', theirs.get(name))}, {_said('measured', mine.get(name))}"
        for name in names
        if mine.get(name) != theirs.get(name)
    ]


def _said(how: str, verdict: Verdict | None) -> str:
    if verdict is None:
        return f"not {how} yet"
    return f"{how} as {verdict.verdict} ({verdict.said})" if verdict.said else f"{how} as {verdict.verdict}"


def _entry(column: Column) -> dict[str, Any]:
    if column.failed:
        return {"failed": column.failed}
    about: dict[str, Any] = {
        "python": column.python,
        "platform": column.platform,
        "date": column.date,
        "versions": column.versions,
    }
    if column.flags:
        about["flags"] = column.flags
    if column.elsewhere:
        about["elsewhere"] = {python: _cells(verdicts) for python, verdicts in column.elsewhere.items()}
    return about | {"verdicts": _cells(column.verdicts)}


def _cells(verdicts: dict[str, Verdict]) -> dict[str, Any]:
    return {name: HOLDS if not one.said else [one.verdict, one.said] for name, one in sorted(verdicts.items())}


def _column(entry: dict[str, Any]) -> Column:
    elsewhere = {python: _verdicts(cells) for python, cells in entry.pop("elsewhere", {}).items()}
    return Column(**{**entry, "verdicts": _verdicts(entry.get("verdicts", {})), "elsewhere": elsewhere})


def _verdicts(cells: dict[str, Any]) -> dict[str, Verdict]:
    return {name: Verdict(HOLDS) if cell == HOLDS else Verdict(*cell) for name, cell in cells.items()}
