"""Draw figures and write them as JSON: ``python -m workshop.figures FOLDER NAME…``, FOLDER being that of the pages."""

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from workshop.figures.drawing import Figure
from workshop.figures.program import Program


def draw(folder: Path, name: str) -> Figure:
    """Return the figure of this name, drawn from the page of this name."""
    module = importlib.import_module(f"workshop.figures.{name.replace('-', '_')}")
    figure: Figure = module.draw(Program(folder / f"{name}.md"))
    return figure


if __name__ == "__main__":
    drawn = {name: asdict(draw(Path(sys.argv[1]), name)) for name in sys.argv[2:]}
    json.dump(drawn, sys.stdout)
