"""Environments beside this one, each installed from constraints that are committed with hashes."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

UV = [sys.executable, "-m", "uv", "--quiet"]


class InstallError(Exception):
    """An environment cannot be made; the message says why."""


def installed(folder: Path, constraints: Path, base: str = sys.executable, version: str = sys.version) -> str:
    """Return the Python of an environment; make the environment if it is missing or out of date.

    Args:
        folder: where the environment lies.
        constraints: the file of all that is in it.
        base: the Python that it is made with.
        version: what says which one that is.

    Raises:
        InstallError: If it cannot be made.
    """
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = hashlib.sha256(constraints.read_bytes() + version.encode()).hexdigest()
    stamp = folder / "installed-from"
    if not (stamp.exists() and stamp.read_text("utf-8") == wanted):
        uv("venv", "--clear", "--python", base, str(folder))
        uv("pip", "install", "--python", str(python), "--no-deps", "--require-hashes", "-r", str(constraints))
        stamp.write_text(wanted, "utf-8")
    return str(python)


def uv(*arguments: str, text: str | None = None) -> str:
    """Return what uv prints, given a text to read.

    Raises:
        InstallError: If uv fails.
    """
    done = subprocess.run([*UV, *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"uv: {' '.join(done.stderr.split())[:300]}")
    return done.stdout
