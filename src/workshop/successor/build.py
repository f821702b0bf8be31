"""Build the site with Zensical, in an environment of its own and on a copy of what it reads."""

import os
import shutil
import subprocess
from pathlib import Path

from workshop.environments import installed, uv

CONSTRAINTS = Path(__file__).with_name("constraints.txt")
# mkdocstrings writes the API pages, and Ruff formats the signatures on them: both as they are in the lock.
WANTED = "zensical\nmkdocstrings[python]\nruff\n"


class BuildError(Exception):
    """Zensical does not build the site; the message is what it said."""


def lock(root: Path) -> None:
    """Write the constraints with the newest Zensical, and what is in the lock of this project as it is there."""
    everywhere = ["--universal", "--python-version", "3.11", "--generate-hashes"]
    plain = ["--no-emit-index-url", "--no-header", "--no-annotate", "--constraints", str(root / "requirements.txt")]
    text = uv("pip", "compile", "-", *everywhere, *plain, text=WANTED)
    CONSTRAINTS.write_text(text, "utf-8", newline="\n")


def build(root: Path, cache: Path) -> Path:
    """Build the site and return its folder.

    Args:
        root: the folder that holds mkdocs.yml.
        cache: the folder for the environment and the copy.

    Raises:
        InstallError: Zensical cannot be installed.
        BuildError: Zensical failed.
    """
    python = installed(cache / "environment", CONSTRAINTS)
    copy = cache / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    for folder in ("docs", "src"):
        shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "mkdocs.yml", copy)
    command = [python, "-m", "zensical", "build", "--clean"]
    # an extension of Markdown is ours, and puts figures into pages
    variables = os.environ | {"NO_COLOR": "1", "PYTHONPATH": str(copy / "src")}
    done = subprocess.run(command, cwd=copy, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"Zensical failed:\n{done.stdout}{done.stderr}")
    return copy / "site"
