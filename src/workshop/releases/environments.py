"""The environments in which releases of Flax are measured: one for each in ``.cache/matrix``.

Each is installed from constraints that are committed with hashes and without addresses.
"""

import functools
import hashlib
import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from workshop import interpreters

ROOT = Path(__file__).parents[3]
CACHE = ROOT / ".cache" / "matrix"
CONSTRAINTS = Path(__file__).with_name("constraints")
UV = [sys.executable, "-m", "uv", "--quiet"]


class InstallError(Exception):
    """A release cannot be installed or imported; the message says why."""


@dataclass(frozen=True)
class Setting:
    """Where a column of the matrix is measured.

    Attributes:
        flax: the release of Flax, such as `0.12.12`.
        until: the day after it came out; its environment has what was on the registry then. Empty for all of today.
        python: the version of Python, such as `3.11`.
        flags: variables of the environment under which Flax is imported.
    """

    flax: str
    until: str = ""
    python: str = "3.11"
    flags: dict[str, str] = field(default_factory=dict)


def own() -> str:
    """Return the release of Flax in this environment."""
    return importlib.metadata.version("flax")


def newest() -> Setting:
    """Return the newest release of Flax that the registry has for the newest Python here."""
    version, _ = interpreters.newest()
    resolved = _uv("pip", "compile", "-", *_plain(version), "--no-annotate", "--no-deps", text="flax\n")
    return Setting(resolved.strip().removeprefix("flax=="), python=version)


@functools.cache
def python_for(flax: str, until: str, version: str) -> str:
    """Return the Python of an environment; make the environment if it is missing or out of date.

    A release without a day is locked with the JAX of today, and if it cannot be imported with that, since no release
    of Flax says up to which JAX it works, with the oldest JAX that it allows.

    Args:
        flax: the release of Flax.
        until: the day up to which packages are taken, or nothing.
        version: the version of Python.

    Raises:
        InstallError: If there is no such Python here, or if the release cannot be installed or imported.
    """
    if (flax, version) == (own(), interpreters.own()):
        return sys.executable
    base = interpreters.find(version)
    if not base:
        raise InstallError(f"there is no Python {version} on this machine")
    python = _install(base, flax, version, lock(flax, until, version))
    error = _import_error(python)
    if error and not until:
        python = _install(base, flax, version, lock(flax, until, version, oldest_jax=True))
        error = _import_error(python)
    if error:
        raise InstallError(f"import flax.nnx: {error}")
    return python


def lock(flax: str, until: str, version: str, oldest_jax: bool = False) -> Path:
    """Return the constraints of a release; write them, with hashes and without addresses, if there are none."""
    file = CONSTRAINTS / f"{flax}.txt"
    if oldest_jax or not file.exists():
        floor = version if version == "3.11" else "3.12"  # one file serves 3.12 and what follows
        settings = [*_plain(floor), "--generate-hashes", "--no-emit-index-url", "--universal"]
        settings += ["--exclude-newer", until] if until else []
        settings += ["--resolution", "lowest-direct"] if oldest_jax else []
        text = _uv("pip", "compile", "-", *settings, text=f"flax=={flax}\njax\nlazy-loader>=0.4\n")
        CONSTRAINTS.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    return file


def _import_error(python: str) -> str:
    """Return the last line of what an import of `flax.nnx` says, or nothing where it works."""
    done = subprocess.run([python, "-c", "import flax.nnx"], capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or ["it failed"])[-1] if done.returncode else ""


def _install(base: str, flax: str, version: str, constraints: Path) -> str:
    folder = CACHE / f"flax-{flax}-python-{version}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = hashlib.sha256(constraints.read_bytes()).hexdigest()
    stamp = folder / "installed-from"
    if not (stamp.exists() and stamp.read_text("utf-8") == wanted):
        _uv("venv", "--clear", "--python", base, str(folder))
        _uv("pip", "install", "--python", str(python), "--require-hashes", "-r", str(constraints))
        stamp.write_text(wanted, "utf-8")
    return str(python)


def _plain(version: str) -> list[str]:
    return ["--no-header", "--python-version", version]


def _uv(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run([*UV, *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"uv: {' '.join(done.stderr.split())[:300]}")
    return done.stdout
