"""Optimizer state: what each rule keeps beside the Params of a layer."""

from typing import Any

from flax import nnx

from nnx_state._paths import leaves
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program

_CELL = 10
_SLOT = 74
_LEFT = 84


def draw(program: Program) -> Figure:
    """Draw the Params, and for each rule of the page the numbers that it keeps, each as a cell."""
    page = program.names("rules")
    drawing, told, sizes = Drawing(), [], {}
    _row(drawing, 0, "the layer", {"Params": dict(leaves(page.layer))}, "param")
    for number, (name, tx) in enumerate(page.rules.items(), start=1):
        slots: dict[str, dict[str, Any]] = {}
        for path, leaf in leaves(nnx.Optimizer(page.layer, tx, wrt=nnx.Param)):
            *_, slot, last = ["", *path.split(".")]
            slots.setdefault(slot if leaf.shape else "counts", {})[last] = leaf
        slots["counts"] = slots.pop("counts")
        _row(drawing, 66.0 * number, name, slots, "own")
        sizes[name] = sum(leaf.size for slot in slots.values() for leaf in slot.values() if leaf.shape)
        kept = [f"`{slot}`" for slot in slots if slot != "counts"]
        counts = f"{len(slots['counts'])} count{'s' * (len(slots['counts']) > 1)}"
        told.append(f"`{name}` keeps {' and '.join([*kept, counts])}.")
    params = sum(leaf.size for _, leaf in leaves(page.layer))
    return drawing.figure(
        "optimizer-state",
        "What rules keep beside the Params",
        f"A cell for each number. The Params of the layer have {params}, and what a rule keeps by name is as large. "
        + " ".join(told),
        f"Beside the {params} numbers of the Params, SGD keeps {sizes['sgd'] or 'none'} of their shape, "
        f"momentum {sizes['momentum']} and Adam {sizes['adam']}; the single cells are counts.",
    )


def _row(drawing: Drawing, top: float, name: str, slots: dict[str, dict[str, Any]], home: str) -> None:
    """Draw the arrays of each slot as grids beside each other, and the name of the slot below."""
    drawing.text((0, top + 18), name, "strong", align="start")
    for number, (slot, arrays) in enumerate(slots.items()):
        left = _LEFT + _SLOT * number
        drawing.text((left, top + 46), slot, "soft", align="start")
        x = left
        for array in sorted(arrays.values(), key=lambda array: -array.size):
            rows, columns = (1, 1, *array.shape)[-2:]
            for place in range(rows * columns):
                at = x + _CELL * (place % columns), top + _CELL * (place // columns) + 4
                drawing.box(*at, _CELL, _CELL, home if array.shape else "variable")
            x += _CELL * columns + 6
