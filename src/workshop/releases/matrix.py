"""Measure all claims on every release of Flax that matters: ``python noxfile.py matrix``.

What is measured is kept in ``.cache/matrix`` line by line, so that an interrupted run goes on where it stopped.
"""

import argparse
import datetime
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from nnx_state.claims import published
from nnx_state.claims.published import Column
from nnx_state.claims.registry import Verdict, claims
from workshop import interpreters
from workshop.releases import environments
from workshop.releases.environments import CACHE, ROOT, InstallError, Setting

TREE_MODE = {"NNX_GRAPH_MODE": "false", "NNX_GRAPH_UPDATES": "false"}
# The columns, the oldest first. Each environment has what was on the registry when its release was a day old.
COLUMNS = {
    "0.8.5": Setting("0.8.5", "2024-07-23"),
    "0.9.0": Setting("0.9.0", "2024-08-27"),
    "0.10.0": Setting("0.10.0", "2024-10-20"),
    "0.10.2": Setting("0.10.2", "2024-11-30"),
    "0.10.4": Setting("0.10.4", "2025-02-28"),
    "0.10.6": Setting("0.10.6", "2025-04-25"),
    "0.10.7": Setting("0.10.7", "2025-07-05"),
    "0.11.0": Setting("0.11.0", "2025-07-31"),
    "0.11.2": Setting("0.11.2", "2025-08-29"),
    "0.12.0": Setting("0.12.0", "2025-09-26"),
    "0.12.1": Setting("0.12.1", "2025-11-22"),
    "0.12.4": Setting("0.12.4", "2026-02-15"),
    "0.12.5": Setting("0.12.5", "2026-03-05"),
    "0.12.6": Setting("0.12.6", "2026-03-21"),
    "0.12.7": Setting("0.12.7", "2026-04-23"),
    "0.12.8": Setting("0.12.8", "2026-07-21"),
    "0.12.9": Setting("0.12.9", "2026-08-19", "3.13"),
    "0.12.10": Setting("0.12.10", "2026-09-25", "3.13"),
    "0.12.12": Setting("0.12.12", "2026-10-28", "3.13"),
    "0.12.12 tree mode": Setting("0.12.12", "2026-10-28", "3.13", TREE_MODE),
}
YANKED = {"0.12.11": "yanked: a fault in its traverse utilities, which 0.12.12 takes back"}
OTHER_PYTHONS = {"0.12.12": ("3.12",)}  # measured there too, since some claims depend on the version of Python


def measure(column: str, setting: Setting, names: list[str], jobs: int, python: str = "") -> Column:
    """Return the verdicts of some claims in a setting; what was measured before is not measured again.

    Args:
        column: the name of the column, such as `0.12.12`.
        setting: where it is measured.
        names: the claims.
        jobs: how many of them run at a time.
        python: another version of Python than that of the setting.
    """
    version = python or setting.python
    kept = CACHE / f"{column.replace(' ', '-')}-{version}-{published.sources()[:16]}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        program = environments.python_for(setting.flax, setting.until, version)
    except InstallError as error:
        return Column(failed=str(error))
    about, cells = _read(kept)
    if missing := [name for name in names if name not in cells]:
        variables = os.environ | {"PYTHONPATH": str(ROOT / "src"), "JAX_PLATFORMS": "cpu"} | setting.flags
        command = [program, "-m", "workshop.releases.measure", str(jobs), *missing]
        with (
            kept.open("a", encoding="utf-8") as file,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables
            ) as process,
        ):
            for number, line in enumerate(process.stdout or (), start=len(cells)):
                file.write(line)
                file.flush()
                print(f"\r{column} on Python {version}: {number} of {len(names)}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        if process.returncode:
            return Column(failed=f"the run ended with exit code {process.returncode}")
        about, cells = _read(kept)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Column(**about, date=today, flags=setting.flags, verdicts={name: cells[name] for name in names})


def measure_everywhere(column: str, setting: Setting, names: list[str], jobs: int) -> Column:
    """Return the verdicts as `measure` does, and where they are others on another Python."""
    measured = measure(column, setting, names, jobs)
    for python in OTHER_PYTHONS.get(column, ()):
        other = measure(column, setting, names, jobs, python)
        if measured.failed or other.failed:
            return Column(failed=measured.failed or f"on Python {python}: {other.failed}")
        cells = {name: one for name, one in other.verdicts.items() if one != measured.verdicts[name]}
        measured.elsewhere[python] = cells
    return measured


def sample(columns: dict[str, Column], seed: int, cells: int, releases: int, jobs: int) -> list[str]:
    """Measure some cells of some columns again, and return where they differ from what is published.

    A column that needs a Python which is not on this machine is not chosen.
    """
    chance = random.Random(seed)
    possible = [
        name
        for name, setting in COLUMNS.items()
        if name in columns and setting.flax != environments.own() and interpreters.find(setting.python)
    ]
    found = []
    for column in chance.sample(possible, releases):
        names = chance.sample(sorted(columns[column].verdicts), cells)
        print(f"Flax {column}: {', '.join(names)}")
        again = measure(column, COLUMNS[column], names, jobs)
        found += [f"{column}: {line}" for line in _against(again, columns[column], names)]
    return found


def main() -> int:
    """Measure the columns that are named, or all, and write the verdicts."""
    parser = argparse.ArgumentParser(prog="python noxfile.py matrix --", description=__doc__)
    parser.add_argument("columns", nargs="*", metavar="COLUMN", help=f"{', '.join(COLUMNS)}, or another release")
    parser.add_argument("--newest", action="store_true", help="only the newest release on the registry")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many claims at a time")
    parser.add_argument(
        "--sample", type=int, metavar="CELLS", help="measure so many cells of two columns again, and compare"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the sample")
    parser.add_argument("--compare", action="store_true", help="compare with what is published, and write nothing")
    arguments = parser.parse_args()
    _, columns = published.load() if published.FILE.exists() else ("", {})
    if arguments.sample:
        print(f"--seed {arguments.seed}")
        return _report(sample(columns, arguments.seed, arguments.sample, 2, arguments.jobs))
    names = list(claims())
    measured = {
        column: measure_everywhere(column, setting, names, arguments.jobs)
        for column, setting in _chosen(arguments.columns, arguments.newest).items()
    }
    if arguments.compare:
        return _report(_differences(measured, columns, names))
    yanked = {release: Column(failed=why) for release, why in YANKED.items()}
    published.FILE.write_text(published.dump(columns | yanked | measured, published.sources()), "utf-8", newline="\n")
    for name, column in measured.items():
        print(f"{name}: {column.failed or _counts(column)}")
    return 0


def _chosen(names: list[str], newest_alone: bool) -> dict[str, Setting]:
    """Return the columns to measure, by name; a release that is none of them is measured on the newest Python."""
    if names:
        return {name: COLUMNS.get(name) or Setting(name, python=interpreters.newest()[0]) for name in names}
    newest = environments.newest()
    column = {newest.flax: COLUMNS.get(newest.flax, newest)}
    return column if newest_alone else COLUMNS | column


def _differences(measured: dict[str, Column], columns: dict[str, Column], names: list[str]) -> list[str]:
    """Compare each column with the published one, or with the nearest where it has none yet."""
    found = []
    for name, column in measured.items():
        against = published.nearest(name, columns)
        found += [f"{name} against {against}: {line}" for line in _against(column, columns[against], names)]
    return found


def _against(column: Column, other: Column, names: list[str]) -> list[str]:
    return [column.failed] if column.failed else published.compare(column.verdicts, other.verdicts, names)


def _report(differences: list[str]) -> int:
    print("\n".join(differences) or "All cells are as published.")
    return int(bool(differences))


def _counts(column: Column) -> str:
    kinds = [verdict.verdict for verdict in column.verdicts.values()]
    counts = [f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))]
    return ", ".join([*counts, *(f"{len(cells)} others on Python {one}" for one, cells in column.elsewhere.items())])


def _read(kept: Path) -> tuple[dict[str, Any], dict[str, Verdict]]:
    about: dict[str, Any] = {}
    cells = {}
    for line in kept.read_text("utf-8").splitlines() if kept.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:  # the run was interrupted while it wrote
            continue
        if isinstance(entry, dict):
            about = entry
        else:
            cells[entry[0]] = Verdict(*entry[1:])
    return about, cells


if __name__ == "__main__":
    sys.exit(main())
