"""Transforms: the copy that a step trains, under `jax.jit` and under `nnx.jit`."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program


def draw(program: Program) -> Figure:
    """Draw a lane for each jit: your model, the copy in the compiled step, and your model afterwards."""
    page = program.names("step", "new")

    def counted(model: Any, optimizer: Any) -> jax.Array:
        page.step(model, optimizer)
        count: jax.Array = model.count[...]
        return count

    drawing, told, counts = Drawing(), [], {}
    jits: dict[str, Callable[..., Any]] = {"jax.jit": jax.jit, "nnx.jit": nnx.jit}
    for number, (name, jit) in enumerate(jits.items()):
        model, optimizer = page.new()
        before, bias = int(model.count[...]), model.bias[...]
        inside = int(jit(counted)(model, optimizer))
        after, moved = int(model.count[...]), bool((model.bias[...] != bias).any())
        counts[name] = (before, inside, after)
        top = 124.0 * number
        drawing.text((0, top + 8), name, "strong", align="start")
        mine = drawing.box(0, top + 24, 92, 26, "variable", f"count {before}")
        drawing.text(mine.at(down=1.6), "your model", "soft")
        copy = drawing.box(124, top + 24, 92, 26, "variable copy", f"count {inside}")
        drawing.text(copy.at(down=1.6), "a copy of it", "soft")
        drawing.arrow((mine.x + mine.width + 2, mine.at().y), (copy.x - 2, copy.at().y))
        last = drawing.box(248, top + 24, 92, 26, "variable", f"count {after}")
        drawing.text(last.at(down=1.6), "afterwards", "soft")
        if moved:
            drawing.arrow((copy.x + copy.width + 2, copy.at().y), (last.x - 2, last.at().y))
            drawing.text((170, top + 88), "written back: the bias has moved", "soft")
        else:
            drawing.cross((232, copy.at().y))
            drawing.text((170, top + 88), "thrown away: the bias is as it was", "soft")
        end = "comes back into" if moved else "is thrown away and does not reach"
        told.append(f"With {name} a copy of the model counts from {before} to {inside}; the copy {end} your model.")
    one, two = counts["jax.jit"], counts["nnx.jit"]
    return drawing.figure(
        "transforms",
        "What a compiled step leaves in your model",
        " ".join(told),
        f"Both steps train a copy, whose count goes from {one[0]} to {one[1]}. "
        f"After `jax.jit` your own count is {one[2]} still; after `nnx.jit` it is {two[2]}.",
    )
