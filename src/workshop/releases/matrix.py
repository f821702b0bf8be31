"""Measure all claims on every release of Flax that matters: ``python noxfile.py matrix``.

One environment for each release lies in ``.cache/matrix``, installed from constraints that are committed with hashes;
what is measured is kept there line by line, so that an interrupted run goes on where it stopped.
"""

import argparse
import datetime
import hashlib
import importlib.metadata
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

# Each release with the day after it came out: its environment has what was on the registry then.
RELEASES = {
    "0.8.5": "2024-07-23",
    "0.9.0": "2024-08-27",
    "0.10.0": "2024-10-20",
    "0.10.2": "2024-11-30",
    "0.10.4": "2025-02-28",
    "0.10.6": "2025-04-25",
    "0.10.7": "2025-07-05",
    "0.11.0": "2025-07-31",
    "0.11.2": "2025-08-29",
    "0.12.0": "2025-09-26",
    "0.12.1": "2025-11-22",
    "0.12.4": "2026-02-15",
    "0.12.8": "",  # that of this project's own environment
}
CONSTRAINTS = Path(__file__).with_name("constraints")
ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache" / "matrix"
UV = [sys.executable, "-m", "uv", "--quiet"]


class InstallError(Exception):
    """A release cannot be installed; the message says why."""


def own() -> str:
    """Return the release of Flax in this environment."""
    return importlib.metadata.version("flax")


def newest() -> str:
    """Return the newest release of Flax on the registry."""
    resolved = _uv("pip", "compile", "-", "--no-header", "--no-annotate", "--no-deps", text="flax\n")
    return resolved.strip().removeprefix("flax==")


def lock(release: str) -> Path:
    """Return the constraints of a release; write them, with hashes and without addresses, if there are none."""
    file = CONSTRAINTS / f"{release}.txt"
    if not file.exists():
        until = RELEASES.get(release)
        settings = [
            "--generate-hashes",
            "--no-emit-index-url",
            "--no-header",
            "--universal",
            "--python-version",
            "3.11",
        ]
        settings += ["--exclude-newer", until] if until else []
        CONSTRAINTS.mkdir(exist_ok=True)
        file.write_text(_uv("pip", "compile", "-", *settings, text=f"flax=={release}\nlazy-loader\n"), "utf-8")
    return file


def environment(release: str) -> str:
    """Return the Python of a release's environment; make the environment if it is missing or out of date.

    Raises:
        InstallError: If it cannot be made.
    """
    if release == own():
        return sys.executable
    folder = CACHE / f"flax-{release}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    constraints = lock(release)
    wanted = hashlib.sha256(constraints.read_bytes() + sys.version.encode()).hexdigest()
    stamp = folder / "installed-from"
    if not (stamp.exists() and stamp.read_text("utf-8") == wanted):
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--python", str(python), "--require-hashes", "-r", str(constraints))
        stamp.write_text(wanted, "utf-8")
    return str(python)


def measure(release: str, names: list[str], jobs: int) -> Column:
    """Return the verdicts of some claims on a release; what was measured before is not measured again."""
    kept = CACHE / f"{release}-{published.sources()[:16]}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        python = environment(release)
    except InstallError as error:
        return Column(failed=str(error))
    about, cells = _read(kept)
    if missing := [name for name in names if name not in cells]:
        variables = os.environ | {"PYTHONPATH": str(ROOT / "src"), "JAX_PLATFORMS": "cpu"}
        command = [python, "-m", "workshop.releases.measure", str(jobs), *missing]
        with (
            kept.open("a", encoding="utf-8") as file,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables
            ) as process,
        ):
            for number, line in enumerate(process.stdout or (), start=len(cells)):
                file.write(line)
                file.flush()
                print(f"\r{release}: {number} of {len(names)}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        if process.returncode:
            return Column(failed=f"the run ended with exit code {process.returncode}")
        about, cells = _read(kept)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Column(**about, date=today, verdicts={name: cells[name] for name in names})


def sample(columns: dict[str, Column], seed: int, cells: int, releases: int, jobs: int) -> list[str]:
    """Measure some cells of some older releases again, and return where they differ from the columns."""
    chance = random.Random(seed)
    older = [release for release, column in columns.items() if not column.failed and release != own()]
    found = []
    for release in chance.sample(older, releases):
        names = chance.sample(sorted(columns[release].verdicts), cells)
        print(f"Flax {release}: {', '.join(names)}")
        column = measure(release, names, jobs)
        found += (
            [f"{release}: {column.failed}"]
            if column.failed
            else [f"{release}: {line}" for line in published.compare(column.verdicts, columns[release].verdicts, names)]
        )
    return found


def main() -> int:
    """Measure the releases that are named, or all, and write the verdicts."""
    parser = argparse.ArgumentParser(prog="python noxfile.py matrix --", description=__doc__)
    parser.add_argument("releases", nargs="*", help=f"{', '.join(RELEASES)}, and the newest by itself")
    parser.add_argument("--newest", action="store_true", help="only the newest release on the registry")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many claims at a time")
    parser.add_argument(
        "--sample", type=int, metavar="CELLS", help="measure so many cells of two releases again, and compare"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the sample")
    parser.add_argument("--compare", action="store_true", help="compare with what is published, and write nothing")
    arguments = parser.parse_args()
    _, columns = published.load() if published.FILE.exists() else ("", {})
    if arguments.sample:
        print(f"--seed {arguments.seed}")
        return _report(sample(columns, arguments.seed, arguments.sample, 2, arguments.jobs))
    names = list(claims())
    every = {newest()} if arguments.newest else {*RELEASES, newest()}
    releases = arguments.releases or sorted(every, key=published.version)
    measured = {release: measure(release, names, arguments.jobs) for release in releases}
    if arguments.compare:
        return _report(_differences(measured, columns, names))
    published.FILE.write_text(published.dump(columns | measured, published.sources()), "utf-8", newline="\n")
    for release, column in measured.items():
        print(f"{release}: {column.failed or _counts(column)}")
    return 0


def _differences(measured: dict[str, Column], columns: dict[str, Column], names: list[str]) -> list[str]:
    """Compare each release with its own column, or with the newest one where it has none yet."""
    found = []
    for release, column in measured.items():
        against = release if release in columns else max(columns, key=published.version)
        lines = published.compare(column.verdicts, columns[against].verdicts, names)
        found += [f"{release} against {against}: {line}" for line in ([column.failed] if column.failed else lines)]
    return found


def _report(differences: list[str]) -> int:
    print("\n".join(differences) or "All cells are as published.")
    return int(bool(differences))


def _counts(column: Column) -> str:
    kinds = [verdict.verdict for verdict in column.verdicts.values()]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))


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


def _uv(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run([*UV, *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"uv: {' '.join(done.stderr.split())[:300]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
