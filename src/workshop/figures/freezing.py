"""Freezing: a slope of zero stops no weight decay; a filter in both places does."""

from flax import nnx

from nnx_state import unchanged
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.gates import Way, gates
from workshop.figures.program import Program


def draw(program: Program) -> Figure:
    """Draw how far the two kernels get with `stop_gradient`, and with one filter in both places."""
    page = program.names("new", "head")
    drawing, top, told, changes = Drawing(), 0.0, [], []
    for title, short, wanted, loss in (
        ("stop_gradient", "Param", nnx.Param, page.detached),
        ("a filter", "head", page.head, page.loss_fn),
    ):
        model, optimizer = page.new(page.adamw, wrt=wanted)
        slopes = nnx.grad(loss, argnums=nnx.DiffState(0, wanted))(model)
        before = page.train(model, optimizer, loss)
        ways = {}
        for part in ("body", "head"):
            path, slope = f"{part}.kernel", None
            if part in slopes:
                slope = "slope" if slopes[part].kernel[...].any() else "slope 0"
            change = float((model[part].kernel / before[part].kernel).mean() - 1)
            decay = f"{-change:.0%}".replace("%", " %")
            moved = None if path in unchanged(before, model) else f"-{decay}" if slope == "slope 0" else "trained"
            ways[path] = Way("param", slope, moved)
            way = "stops at the first gate"
            if moved is not None:
                way = f"passes both gates and {'shrinks by ' + decay if slope == 'slope 0' else 'is trained'}"
            told.append(f"With {title}, {path} {way}.")
        changes.append(ways["body.kernel"].moved)
        top = gates(drawing, top, title, (short, short), ways) + 22
    decayed, still = changes
    if decayed is None or still is not None:
        raise ValueError("the body must move under stop_gradient alone: mend the figure, its caption says so.")
    return drawing.figure(
        "freezing",
        "Where a frozen layer is stopped",
        " ".join(told),
        f"A slope of 0 passes both gates, and weight decay makes the body smaller by {decayed.lstrip('-')}. "
        "The filter of the head stops the body at the first gate, and would at the second.",
    )
