"""Checkpoints: the leaves of a run, of which the Params are a few."""

from flax import nnx

from nnx_state._paths import leaves
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program

ROWS = {
    "Params": nnx.Param,
    "batch stats": nnx.BatchStat,
    "random stream": nnx.RngState,
    "counter": lambda path, _leaf: path[0] == "model",
    "optimizer": ...,
}


def draw(program: Program) -> Figure:
    """Draw each leaf of the run as a cell, and fill those that a checkpoint of the Params brings back."""
    run = program.names("build").build()
    _, *states = nnx.split(nnx.Dict(run), *ROWS.values())
    groups = {name: [path for path, _ in leaves(state)] for name, state in zip(ROWS, states, strict=True)}
    total = sum(map(len, groups.values()))

    drawing = Drawing()
    for number, (name, found) in enumerate(groups.items()):
        y = 34 * number
        saved = name == "Params"
        drawing.text((0, y + 13), name, align="start")
        for place in range(len(found)):
            drawing.box(104 + 30 * place, y, 24, 24, "param full" if saved else "static")
    y = 34 * len(groups) + 12
    drawing.box(0, y - 6, 12, 12, "param full")
    drawing.text((18, y), "comes back", "soft", align="start")
    drawing.box(150, y - 6, 12, 12, "static")
    drawing.text((168, y), "begins anew", "soft", align="start")
    told = ", ".join(f"{name} {len(found)}" for name, found in groups.items())
    return drawing.figure(
        "checkpoints",
        "What a checkpoint of the Params leaves out",
        f"A row of cells for each part of the run, one cell for each of its {total} leaves: {told}. "
        "The cells of the Params are filled, and no others.",
        f"Of the {total} leaves that the next step reads, a checkpoint of the Params brings back "
        f"{len(groups['Params'])}. The other {total - len(groups['Params'])} begin anew.",
    )
