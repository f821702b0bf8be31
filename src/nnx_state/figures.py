"""Figures that follow the page: light or dark, wide or narrow, seen or read aloud."""

import html
import io
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

try:
    import matplotlib.pyplot as plt
    from IPython.display import HTML, display
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"the figures need {error.name}, which is not installed: pip install 'nnx-state[figures]'"
    ) from error

PARAM, VARIABLE = "#d98a4a", "#1583a6"  # the colours of the two labels, told apart by lightness too


def dots(axes: Axes, values: ArrayLike) -> None:
    """Draw each value as a small grey dot over its place, 0 for the first.

    They are one path, of lines without length whose ends are round: markers of Matplotlib weigh three times as much.
    """
    heights = np.asarray(values)
    points = np.column_stack([np.arange(heights.size), heights])
    path = Path(np.repeat(points, 2, axis=0), [Path.MOVETO, Path.LINETO] * heights.size)
    path.should_simplify = False  # it would leave out what has no length
    axes.add_patch(PathPatch(path, linewidth=2, capstyle="round", edgecolor="#000000", alpha=0.4, fill=False))
    axes.autoscale_view()


def show(figures: Iterable[tuple[Figure, str]]) -> None:
    """Display figures side by side, or one below the other where there is no room, and close them.

    Black becomes the text colour of the page, and the background is left out.

    Args:
        figures: each figure with a description for readers who do not see it.
    """
    display(HTML(f'<div class="figures">{"".join(svg(*figure) for figure in figures)}</div>'))


def svg(figure: Figure, description: str) -> str:
    """Return a figure as an SVG element, and close it.

    Args:
        figure: a Matplotlib figure; its text stays text.
        description: what the figure shows, as an accessible name.
    """
    file = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": description}):
        figure.savefig(file, format="svg", transparent=True)
    plt.close(figure)
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", file.getvalue(), flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text).replace("#000000", "currentColor")
    shorter = re.compile(r"(\.\d)\d+")
    text = re.sub(r' (?:x|y)="[^"]*', lambda place: shorter.sub(r"\1", place[0]), text)
    text = re.sub(r' d="([^"]*)"', lambda path: f' d="{_in_steps(path[1])}"', text)
    text = re.sub(r"\n\s*", " ", text)
    _, _, element = text.partition("<svg ")
    return f'<svg role="img" aria-label="{html.escape(description)}" fill="currentColor" {element}'


def _in_steps(path: str) -> str:
    """Return the data of a path in which a line is said by its step and not by its end: many steps are alike.

    Args:
        path: what Matplotlib writes, `M 34.57 57.12 L 35.04 48.15 …`, in points.
    """
    at, said = [0, 0], []
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        to = [round(10 * float(number)) for number in numbers.split()]  # tenths of a point are finer than lines are
        tenths = [to[0] - at[0], to[1] - at[1]] if command == "L" else to
        said.append(command.replace("L", "l") + " ".join(f"{number / 10:g}" for number in tenths))
        at = to[-2:] or at
    return "".join(said)
