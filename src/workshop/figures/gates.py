"""The two gates of a training step: which leaves get a slope, and which of these the optimizer moves."""

from collections.abc import Mapping
from typing import NamedTuple

from workshop.figures.drawing import Drawing

_GATES = (156.0, 248.0)
_END = 286.0
_NAMES = ("gradient", "optimizer")


class Way(NamedTuple):
    """How far a leaf gets.

    Attributes:
        home: the class of its colour.
        slope: what is said of it behind the gate of the gradient; None if it stops there.
        moved: what is said of it behind the gate of the optimizer; None if it stops there or before.
    """

    home: str
    slope: str | None
    moved: str | None


def gates(drawing: Drawing, top: float, title: str, filters: tuple[str, str], ways: Mapping[str, Way]) -> float:
    """Draw two gates and the way of each leaf, and return where that ends.

    Args:
        drawing: what is drawn on.
        top: where it begins.
        title: its heading.
        filters: what each gate lets through.
        ways: the way of each leaf, by its name.
    """
    drawing.text((0, top + 8), title, "strong", align="start")
    for x, name, wanted in zip(_GATES, _NAMES, filters, strict=True):
        drawing.text((x, top + 8), name, "soft")
        drawing.text((x, top + 23), wanted, "code")
    y = top + 50
    for name, way in ways.items():
        box = drawing.box(0, y - 11, 94, 22, way.home, name)
        passed = [_gate(drawing, x, y, open_=said is not None) for x, said in zip(_GATES, way[1:], strict=True)]
        end = _END if all(passed) else _GATES[passed.index(False)] - 4
        drawing.arrow((box.width + 3, y), (end, y))
        if way.slope is not None:
            drawing.text((sum(_GATES) / 2, y - 8), way.slope, "soft")
        if way.moved is not None:
            drawing.text((_END + 4, y), way.moved, "soft", align="start")
        y += 32
    return y - 20


def _gate(drawing: Drawing, x: float, y: float, *, open_: bool) -> bool:
    if open_:
        drawing.line((x, y - 14), (x, y - 7), home="gate")
        drawing.line((x, y + 7), (x, y + 14), home="gate")
    else:
        drawing.line((x, y - 14), (x, y + 14), home="gate")
    return open_
