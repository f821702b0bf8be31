"""Randomness: the streams of a model as a tree of forks and draws."""

import jax

from nnx_state import draws
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program

_WIDTH = 150


def draw(program: Program) -> Figure:
    """Draw the stream that builds the layers, the fork that each layer keeps, and what a call draws of it."""
    page = program.names("model")  # it was called once in train mode
    (built,) = draws(page.rngs).values()

    drawing, told = Drawing(), []
    root = drawing.box(95, 0, _WIDTH, 40, "own")
    drawing.text(root.at(down=0.3), "rngs", "code")
    drawing.text(root.at(down=0.72), f"key A, count {built}", "soft")
    for number, layer in enumerate(page.model.layers):
        name = type(layer).__name__
        if not layer.rngs.key[...] == jax.random.fold_in(jax.random.key(0), number):
            raise ValueError(f"the key of {name} must be draw {number}: mend the figure, which says so.")
        key, count = "BC"[number], int(layer.rngs.count[...])
        fork = drawing.box((340 - _WIDTH) * number, 88, _WIDTH, 40, "own")
        middle = fork.at().x
        drawing.line((170, 40), (170, 64), (middle, 64))
        drawing.arrow((middle, 64), (middle, fork.y - 2))
        drawing.text((middle + 6, 74), f"draw {number}", "soft", align="start")
        drawing.text(fork.at(down=0.3), f"layers[{number}].rngs", "code")
        drawing.text(fork.at(down=0.72), f"key {key}, count {count}", "soft")
        for place in range(count + 1):
            x = fork.x + 38 + 76 * place
            home = "array" if place < count else "static"
            drawing.arrow((x, 130), (x, 156))
            drawing.box(x - 34, 158, 68, 24, home)
            drawing.text((x, 170), f"draw {place}", "soft")
            drawing.text((x, 194), ("the call" if place < count else "the next"), "soft")
        told.append(f"draw {number} is key {key} of the {name}, whose count is {count} after one call")
    return drawing.figure(
        "randomness",
        "Forks of a stream",
        f"A tree. At the top stands the stream `rngs`, from which {built} keys were drawn: {'; '.join(told)}. "
        "The next call takes draw 1 of each layer.",
        f"Building takes one draw of `rngs` for each layer, and so its count is {built}. "
        "A call draws from the fork that a layer keeps, and raises the count of that fork alone.",
    )
