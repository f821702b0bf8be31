"""The figures of the lessons: drawn, and told in words on the pages that show them.

Drawing takes seconds, since the programs of the lessons run for it. So each figure is kept in ``.cache/figures`` for
the state of what it depends on.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from workshop.figures.drawing import Figure
from workshop.figures.inlined import FOLDER, LINE
from workshop.figures.program import Program
from workshop.site.tree import ROOT, Tree

_DRAWERS = ROOT / "src" / "workshop" / "figures"
_LESSONS = "docs/lessons"
CACHE = ROOT / ".cache" / "figures"


def make(tree: Tree) -> None:
    """Make each figure that a page shows, and the words of the line that shows it.

    Raises:
        ValueError: If nothing draws a figure, drawing fails, or no page shows what is there.
    """
    pages = [path.relative_to(tree.root).as_posix() for path in sorted((tree.root / "docs").rglob("*.md"))]
    shown = {page: names for page in pages if (names := [found[3] for found in LINE.finditer(tree.read(page))])}
    wanted = sorted({name for names in shown.values() for name in names})
    there = {path.stem for path in (tree.root / "docs" / FOLDER).glob("*.svg")}
    if left := sorted(there - set(wanted)):
        raise ValueError(f"no page shows {', '.join(left)} of docs/{FOLDER}. What to do: show it, or remove it.")
    figures = drawn(tree.root / _LESSONS, wanted)
    for name, figure in figures.items():
        tree.make(f"docs/{FOLDER}/{name}.svg", figure.svg)
    for page in shown:
        tree.make(page, LINE.sub(lambda found: _line(found[2], figures[found[3]]), tree.read(page)))


def drawn(lessons: Path, names: Iterable[str]) -> dict[str, Figure]:
    """Return the figures of these names, as they are drawn now.

    Args:
        lessons: the folder of the pages whose programs are run.
        names: each the name of a figure and of its page.

    Raises:
        ValueError: If nothing draws a figure, or drawing fails.
    """
    ground = _ground(lessons)
    places = {name: CACHE / f"{_key(lessons, name, ground)}.json" for name in names}
    if missing := [name for name, place in places.items() if not place.exists()]:
        for name, figure in _draw(lessons, missing).items():
            places[name].parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=places[name].parent, delete=False) as file:
                json.dump(figure, file)
            Path(file.name).replace(places[name])
    return {name: Figure(**json.loads(place.read_text("utf-8"))) for name, place in places.items()}


def _line(path: str, figure: Figure) -> str:
    return f'![{figure.description}]({path} "{figure.caption}")'


def _ground(lessons: Path) -> bytes:
    """Return a hash of what all figures depend on: what is installed, the package, and shared drawers."""
    installed = sorted(path.name for folder in sys.path for path in Path(folder).glob("*.dist-info"))
    drawers = _DRAWERS.glob("*.py")
    shared = [path for path in drawers if not (lessons / f"{path.stem.replace('_', '-')}.md").exists()]
    ground = hashlib.sha256(repr((sys.version, installed)).encode())
    for path in sorted((*shared, *(ROOT / "src" / "nnx_state").glob("*.py"))):
        ground.update(path.read_bytes())
    return ground.digest()


def _key(lessons: Path, name: str, ground: bytes) -> str:
    """Return a hash of all that a figure depends on.

    Args:
        lessons: the folder of the pages.
        name: that of the figure and of its page.
        ground: a hash of what all figures depend on.

    Raises:
        ValueError: If it has no module, or no page.
    """
    own = _DRAWERS / f"{name.replace('-', '_')}.py"
    page = lessons / f"{name}.md"
    for path in (own, page):
        if not path.is_file():
            raise ValueError(f"nothing draws the figure {name}. What to do: write {path}.")
    return hashlib.sha256(repr((ground, name, Program(page).code(), own.read_bytes())).encode()).hexdigest()


def _draw(lessons: Path, names: list[str]) -> dict[str, dict[str, str]]:
    """Draw figures in a process of its own, whose JAX has a CPU alone."""
    command = [sys.executable, "-m", "workshop.figures", str(lessons), *names]
    variables = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"figures cannot be drawn: {done.stderr.strip().splitlines()[-1]}\n{done.stderr}")
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found
