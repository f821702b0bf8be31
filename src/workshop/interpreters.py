"""The other Pythons of this machine: on PATH, or among those of pyenv. Only the standard library is needed."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SUPPORTED = ("3.14", "3.13", "3.12", "3.11")  # the newest first


def find(version: str) -> str | None:
    """Return the path of a Python that runs, of a version such as `3.13`; this one where it fits, None without one."""
    if version == own():
        return sys.executable
    return next((path for path in _candidates(version) if _is(path, version)), None)


def newest() -> tuple[str, str]:
    """Return the version and the path of the newest supported Python here."""
    found = {version: path for version in SUPPORTED if (path := find(version))}
    return next(iter(found.items()), (own(), sys.executable))


def own() -> str:
    """Return the version of this Python, such as `3.11`."""
    return "{}.{}".format(*sys.version_info)


def _candidates(version: str) -> Iterator[str]:
    if on_path := shutil.which(f"python{version}"):
        yield on_path
    for path in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"), reverse=True):
        yield str(path)


def _is(path: str, version: str) -> bool:
    """Tell whether a path runs as this version: a shim may stand for a Python that is not there."""
    program = "import sys; print('{}.{}'.format(*sys.version_info))"
    try:
        done = subprocess.run([path, "-c", program], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.strip() == version
