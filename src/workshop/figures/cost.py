"""Cost: the bytes that go into a call that only reads, and those that come out of it."""

import jax.numpy as jnp
from flax import nnx

from nnx_state import MultiParam, nbytes
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program

_LONGEST = 200


def draw(program: Program) -> Figure:
    """Draw two bars for each way of calling: the model that goes in, and the new memory that comes out."""
    readers = program.names("readers").readers
    drawing, bytes_of = Drawing(), {}
    for name, reader in readers.items():
        layer, x = MultiParam(256, 256, rngs=nnx.Rngs(0)), jnp.ones(256)
        clone = nnx.clone(layer)
        held = nbytes(layer, clone)
        result = reader(layer, x)
        bytes_of[name] = (nbytes(layer, x), nbytes(layer, clone) - held + nbytes(result))
    longest = max(max(pair) for pair in bytes_of.values())
    for number, (name, pair) in enumerate(bytes_of.items()):
        top = 76.0 * number
        drawing.text((0, top + 8), name, "code", align="start")
        for row, (word, size, home) in enumerate(zip(("in", "out"), pair, ("array", "own"), strict=True)):
            y = top + 22 + 22 * row
            drawing.text((20, y + 8), word, "soft", align="end")
            bar = drawing.box(28, y, max(2, _LONGEST * size / longest), 16, f"{home} full")
            drawing.text((bar.x + bar.width + 6, y + 8), _told(size), "soft", align="start")
    ins, outs = ([pair[side] for pair in bytes_of.values()] for side in (0, 1))
    return drawing.figure(
        "cost",
        "Bytes into a call and out of it",
        "Bars of three ways to call a layer that is only read. "
        + " ".join(f"{name}: {_told(go_in)} in, {_told(out)} out." for name, (go_in, out) in bytes_of.items()),
        f"The same {_told(ins[0])} go in. `nnx.jit` returns the model as well, {_told(outs[0])}; "
        f"the other two return the result alone, {_told(outs[-1])}.",
    )


def _told(size: int) -> str:
    return f"{size // 1024} KiB"
