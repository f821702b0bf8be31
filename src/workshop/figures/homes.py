"""Homes: the values of the model, and the group of a split that each goes to."""

from flax import nnx

from nnx_state import kinds
from nnx_state._paths import leaves
from workshop.figures.drawing import Box, Drawing, Figure
from workshop.figures.program import Program

CLASSES = {"Param": "param", "Variable": "variable", "Buffer": "own", "array": "array", "static": "static"}
FILTERS = {"nnx.Param": nnx.Param, "nnx.Variable": nnx.Variable, "...": ...}
GRAPH = "graph"


def draw(program: Program) -> Figure:
    """Draw the model of the page as a tree, and an arrow from each value into its group."""
    model = program.names("model").model
    homes = kinds(model)
    _, *states = nnx.split(model, *FILTERS.values())
    groups = {name: [path for path, _ in leaves(state)] for name, state in zip(FILTERS, states, strict=True)}
    groups[GRAPH] = [path for path, home in homes.items() if home == "static"]

    drawing, top, boxes = Drawing(), 44.0, []
    trunk = drawing.box(0, 0, 70, 24, text=type(model).__name__)
    drawing.text((280, 8), "groups of the split", "soft")
    for name, members in groups.items():
        height = 32 * len(members) - 8
        group = drawing.box(236, top, 104, height, text=name)
        for number, path in enumerate(members):
            value = drawing.box(24, top + 32 * number, 68, 24, CLASSES[homes[path]], path)
            drawing.text((98, value.at().y), homes[path], "soft", align="start")
            drawing.arrow((160, value.at().y), (group.x - 2, value.at().y), CLASSES[homes[path]])
            boxes.append(value)
        top += height + 14
    _branches(drawing, trunk, boxes)

    told = "; ".join(
        f"{' and '.join(members)} to {name if name == GRAPH else f'`{name}`'}" for name, members in groups.items()
    )
    counts = [len(members) for members in groups.values()]
    return drawing.figure(
        "homes",
        "Where a split puts each value",
        f"The model holds {len(homes)} values, each with the name of its home. "
        f"Arrows lead from the values to the groups: {told}.",
        f"A split by `nnx.Param`, `nnx.Variable` and `...` sorts values by their home: {counts[0]} Param, "
        f"{counts[1]} Variables, and {counts[2]} leaves without a type for the rest. "
        f"The {counts[3]} static values are in no group but in the graph.",
    )


def _branches(drawing: Drawing, trunk: Box, boxes: list[Box]) -> None:
    x = trunk.x + 10
    drawing.line((x, trunk.y + trunk.height), (x, boxes[-1].at().y))
    for box in boxes:
        drawing.line((x, box.at().y), (box.x, box.at().y))
