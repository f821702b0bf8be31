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
    """The verdicts on one release of Flax.

    Attributes:
        python: the version of Python, such as `3.11.7`.
        platform: such as `Linux-x86_64`.
        date: the day of the run, as `2026-11-24`.
        versions: those of flax, jax and numpy.
        verdicts: by the name of the claim.
        failed: why the release could not be installed, if it could not be.
    """

    python: str = ""
    platform: str = ""
    date: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
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


def version(release: str) -> tuple[int, ...]:
    """Return a release as numbers, which sort as releases do."""
    return tuple(int(part) for part in release.split(".") if part.isdigit())


def compare(mine: dict[str, Verdict], theirs: dict[str, Verdict], names: Iterable[str]) -> list[str]:
    """Return one line for each claim of these names on which two columns differ."""
    return [
        f"{name}: published as {_said(theirs.get(name))}, measured as {_said(mine.get(name))}"
        for name in names
        if mine.get(name) != theirs.get(name)
    ]


def _said(verdict: Verdict | None) -> str:
    if verdict is None:
        return "nothing"
    return f"{verdict.verdict} ({verdict.said})" if verdict.said else verdict.verdict


def _entry(column: Column) -> dict[str, Any]:
    if column.failed:
        return {"failed": column.failed}
    cells = {name: HOLDS if not one.said else [one.verdict, one.said] for name, one in sorted(column.verdicts.items())}
    about = {"python": column.python, "platform": column.platform, "date": column.date, "versions": column.versions}
    return {**about, "verdicts": cells}


def _column(entry: dict[str, Any]) -> Column:
    cells = {
        name: Verdict(HOLDS) if cell == HOLDS else Verdict(*cell) for name, cell in entry.pop("verdicts", {}).items()
    }
    return Column(**entry, verdicts=cells)
