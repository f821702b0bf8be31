"""Training: two gradients of one loss, and the optimizer behind them."""

from flax import nnx

from nnx_state import kinds
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.gates import Way, gates
from workshop.figures.program import Program

FILTERS = {"nnx.grad": "Param", "jax.grad": "all"}


def draw(program: Program) -> Figure:
    """Draw how far each leaf gets with `nnx.grad` and with `jax.grad`."""
    page = program.names("gradients")
    drawing, top, told, stops = Drawing(), 0.0, [], {}
    for name, wanted in FILTERS.items():
        model = page.MultiParam(4, 2, rngs=nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, page.optax.sgd(0.1), wrt=nnx.Param)
        grads = page.gradients[name](model)
        slopes, moved = set(nnx.state(grads)), set(optimizer.update(model, grads))
        ways = {
            leaf: Way(home.lower(), "slope" if leaf in slopes else None, "moved" if leaf in moved else None)
            for leaf, home in kinds(model).items()
        }
        top = gates(drawing, top, name, (wanted, "Param"), ways) + 22
        stops[name] = {leaf: "second" if way.slope else "first" for leaf, way in ways.items() if not way.moved}
        at = " and ".join(f"the {leaf} stops at the {gate}" for leaf, gate in stops[name].items())
        told.append(f"With {name}, {' and '.join(sorted(moved))} pass both gates, and {at} one.")
    (leaf,) = stops["nnx.grad"]
    return drawing.figure(
        "training",
        "The two gates of a training step",
        " ".join(told),
        f"A leaf is trained if both gates let it through. With `nnx.grad` the {leaf} stops at the "
        f"{stops['nnx.grad'][leaf]} gate, and with `jax.grad` at the {stops['jax.grad'][leaf]}.",
    )
