"""Figures that follow the page: light or dark, wide or narrow, seen or read aloud."""

import html
import io
import re
from collections.abc import Iterable

try:
    import matplotlib.pyplot as plt
    from IPython.display import HTML, display
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"the figures need {error.name}, which is not installed: pip install 'nnx-state[figures]'"
    ) from error

PARAM, VARIABLE = "#d98a4a", "#1583a6"  # the colours of the two labels, told apart by lightness too


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
    shorter = re.compile(r"(\.\d)\d+")  # a tenth of a point is finer than a line is wide
    text = re.sub(r' (?:d|x|y)="[^"]*', lambda place: shorter.sub(r"\1", place[0]), text)
    text = re.sub(r"\n\s*", " ", text)
    _, _, element = text.partition("<svg ")
    return f'<svg role="img" aria-label="{html.escape(description)}" fill="currentColor" {element}'
