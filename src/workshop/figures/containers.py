"""Containers: a list that NNX looks into, and one that it does not."""

from nnx_state import hidden_state, paths
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program


def draw(program: Program) -> Figure:
    """Draw the two chains of the page as trees, with the leaves that are in the state and those outside of it."""
    page = program.names("late", "good")
    drawing, told = Drawing(), []
    for column, (name, chain) in enumerate({"nnx.List": page.good, "plain list": page.late}.items()):
        x, found, hidden = 184.0 * column, paths(chain), hidden_state(chain)
        items = []
        drawing.text((x, 8), name, "strong", align="start")
        model = drawing.box(x, 24, 84, 24, text=type(chain).__name__)
        box = drawing.box(x + 16, 60, 84, 24, "variable" if found else "static", "layers")
        _branch(drawing, model.x + 8, 48, box.at().y, box.x)
        for number, layer in enumerate(chain.layers):
            y = 108.0 + 36 * number
            path = f"layers.{number}.kernel"
            home = "param" if path in found else "static"
            word = "kernel" if path in found + hidden else layer.__name__
            leaf = drawing.box(x + 32, y - 12, 68, 24, home, word)
            _branch(drawing, box.x + 8, 84, y, leaf.x)
            state = "found" if path in found else "hidden" if path in hidden else "static"
            drawing.text((x + 106, y), state, "soft", align="start")
            items.append(f"{word}, which is {state}")
        told.append(f"Under the {name} stand {', '.join(items)}.")
    return drawing.figure(
        "containers",
        "What NNX finds in a list",
        f"Two trees. {' '.join(told)}",
        f"NNX looks into an `nnx.List` and finds its {len(paths(page.good))} kernels. "
        f"A plain list is static: the layer that was appended to it is in the model, and not in its state.",
    )


def _branch(drawing: Drawing, x: float, top: float, y: float, end: float) -> None:
    drawing.line((x, top), (x, y), (end, y))
