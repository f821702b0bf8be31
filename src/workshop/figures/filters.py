"""Filters: a split as a row of sieves, of which the first that matches keeps a leaf."""

from typing import Any

from flax import nnx

from nnx_state import paths, sizes
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program

FILTERS: dict[str, Any] = {"nnx.LoRAParam": nnx.LoRAParam, "nnx.Param": nnx.Param, "...": ...}
_HOMES = ("own", "param", "variable")


def draw(program: Program) -> Figure:
    """Draw a sieve for each filter of the page, what it keeps and how many leaves go on."""
    model = program.names("Model").Model(nnx.Rngs(0))
    _, *states = nnx.split(model, *FILTERS.values())
    numbers = sizes(model, **FILTERS)
    left = len(paths(model))

    drawing, top, told = Drawing(), 0.0, []
    for (name, size), state, home in zip(numbers.items(), states, _HOMES, strict=True):
        kept = paths(state)
        middle = top + 34 + max(24, 20 * len(kept)) / 2
        drawing.text((60, top + 8), f"{left} leaves", "soft")
        drawing.arrow((60, top + 18), (60, middle - 15))
        sieve = drawing.box(0, middle - 13, 120, 26, home, name)
        drawing.arrow((sieve.x + sieve.width + 2, middle), (158, middle))
        for number, path in enumerate(kept):
            drawing.box(162, middle - 10 * len(kept) + 20 * number + 1, 96, 18, home, path)
        drawing.text((266, middle), f"{size} numbers", "soft", align="start")
        told.append(f"`{name}` keeps {', '.join(kept)}")
        left -= len(kept)
        top = middle + max(26, 20 * len(kept)) / 2 + 6
        if left:
            drawing.line((60, middle + 13), (60, top - 2))
    return drawing.figure(
        "filters",
        "The first filter that matches takes the leaf",
        f"{len(paths(model))} leaves fall through {len(FILTERS)} sieves, one below the other. {'; '.join(told)}.",
        f"`nnx.split` asks its filters in turn. The adapter is a Param as well, but `nnx.LoRAParam` was asked first, "
        f"and so the second sieve keeps {len(paths(states[1]))} leaves and not {len(paths(model, nnx.Param))}.",
    )
