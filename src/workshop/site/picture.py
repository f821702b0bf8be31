"""The picture that a link to the site shows where somebody sends it.

``python -m workshop.site.picture`` draws it to ``docs/assets/preview.png``, unless it is there as this module draws it.
"""

import hashlib
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Wedge
from PIL import Image

FILE = Path("assets", "preview.png")  # inside docs
WIDTH, HEIGHT = 1200, 630  # pixels, as Open Graph recommends
PAPER, INK, SOFT, TEAL, AMBER = "#fdfcf9", "#1e2a2e", "#53636a", "#14877b", "#c2700a"  # the light colours of the site


def draw() -> Figure:
    """Return the picture: sign, name and question of the site."""
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(HEIGHT, 0), xticks=[], yticks=[], frame_on=False)
    axes.add_patch(Wedge((174, 190), 84, 90, 270, color=TEAL))
    axes.add_patch(Wedge((203, 190), 73, 270, 90, facecolor="none", edgecolor=AMBER, linewidth=14))
    axes.text(90, 395, "The State of NNX", color=INK, fontsize=58, fontweight="bold")
    axes.text(92, 475, "Param, Variable, or neither?", color=TEAL, fontsize=32)
    axes.text(92, 545, "Flax NNX, explained by examples that all run", color=SOFT, fontsize=23)
    return figure


def source() -> str:
    """Return a digest of what the picture is made from, which is this module."""
    return hashlib.sha256(Path(__file__).read_text("utf-8").encode()).hexdigest()


def is_current(path: Path) -> bool:
    """Tell whether a file is the picture as this module draws it; pixels may differ from machine to machine."""
    if not path.exists():
        return False
    with Image.open(path) as image:
        return image.info.get("Source") == source()


def write(docs: Path) -> Path:
    """Draw the picture below docs where it is missing or out of date, and return its path."""
    path = docs / FILE
    if not is_current(path):
        draw().savefig(path, metadata={"Source": source(), "Software": None})
    return path


if __name__ == "__main__":
    write(Path("docs"))
