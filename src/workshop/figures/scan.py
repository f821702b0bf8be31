"""Scan: layers that run in turn, with a count for each of them, and with one count that they hand on."""

from workshop.figures.drawing import Box, Drawing, Figure
from workshop.figures.program import Program

_WIDE, _APART = 54, 78


def draw(program: Program) -> Figure:
    """Draw the layers of the two runs of the page, and the counts after one run of each."""
    page = program.names("build", "batch", "carried")
    own, one = page.build_many(0), page.build_many(page.shared)
    before = one.calls[...]
    page.run(own, page.batch, 0)
    page.run(one, page.batch, page.carried)
    counts, after = own.calls[...].tolist(), one.calls[...]
    drawing = Drawing()

    drawing.text((0, 8), "a count for each layer", "strong", align="start")
    for box, count in zip(_layers(drawing, 26, len(counts)), counts, strict=True):
        drawing.box(box.x, 62, _WIDE, 22, "variable", str(count))

    drawing.text((0, 116), "one count for all", "strong", align="start")
    boxes = _layers(drawing, 134, len(counts))
    first = drawing.box(boxes[0].x, 170, _WIDE, 22, "variable", str(before))
    last = drawing.box(boxes[-1].x, 170, _WIDE, 22, "variable", str(after))
    drawing.arrow(first.at(1), last.at(0), "variable")

    told = ", ".join(map(str, counts))
    return drawing.figure(
        "scan",
        "What the layers of a scan keep, and what they hand on",
        f"{len(counts)} layers in a row, twice; x goes from each to the next. Above, each layer has a count: {told}. "
        f"Below, one count goes along with x: {before} at first, {after} in the end.",
        f"`x` is handed on in both. Above, each layer has counted its own call; below, one count goes along, and has "
        f"counted {after}.",
    )


def _layers(drawing: Drawing, y: float, number: int) -> list[Box]:
    """Draw layers in a row, with an arrow from each to the next."""
    boxes = [drawing.box(24 + _APART * place, y, _WIDE, 28, "param", f"layer {place}") for place in range(number)]
    ends = [(12.0, y + 14), *(box.at(1) for box in boxes)]
    starts = [*(box.at(0) for box in boxes), (boxes[-1].x + _WIDE + 16, y + 14)]
    for end, start in zip(ends, starts, strict=True):
        drawing.arrow(end, start)
    drawing.text((5, y + 14), "x", "code")
    drawing.text((boxes[-1].x + _WIDE + 22, y + 14), "y", "code")
    return boxes
