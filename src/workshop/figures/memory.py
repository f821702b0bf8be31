"""Memory: the bytes of each part of a step, with the whole batch and with half of it."""

from flax import nnx

from nnx_state import nbytes, residual_bytes
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program

_LONGEST = 210


def draw(program: Program) -> Figure:
    """Draw two bars for each part of a step."""
    names = program.names("deep", "parts")
    rows = len(names.x)
    half = names.x[: rows // 2]
    halved = {
        "Params": nbytes(nnx.state(names.layers, nnx.Param)),
        "gradients": nbytes(nnx.grad(names.loss_fn)(names.layers, half)),
        "Adam": nbytes(names.optimizer),
        "the batch": nbytes(half),
        "residuals": residual_bytes(names.loss_fn, names.layers, half),
    }
    drawing, longest = Drawing(), max(names.parts.values())
    for number, (part, size) in enumerate(names.parts.items()):
        top = 62.0 * number
        drawing.text((0, top + 8), part, "strong", align="start")
        for row, (count, taken, home) in enumerate(((rows, size, "array"), (rows // 2, halved[part], "own"))):
            y = top + 20 + 19 * row
            drawing.text((36, y + 7), str(count), "soft", align="end")
            bar = drawing.box(44, y, _LONGEST * taken / longest, 14, f"{home} full")
            drawing.text((bar.x + bar.width + 6, y + 7), _told(taken), "soft", align="start")
    shrinks = [part for part, size in names.parts.items() if halved[part] < size]
    told = ", ".join(f"{part} {_told(size)} and {_told(halved[part])}" for part, size in names.parts.items())
    return drawing.figure(
        "memory",
        f"What a step takes with {rows} rows, and with {rows // 2}",
        f"Bars of the parts of a step, with {rows} rows and with {rows // 2}: {told}.",
        f"The upper bar of each pair is for {rows} rows, the lower for {rows // 2}. "
        f"With {rows // 2} rows, {' and '.join(shrinks)} take half, and the rest takes what it took.",
    )


def _told(size: int) -> str:
    return f"{size // 1024} KiB"
