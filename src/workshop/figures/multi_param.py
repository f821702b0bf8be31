"""Param and Variable: the types as sets, one inside of the other."""

import jax.numpy as jnp
from flax import nnx

from nnx_state import paths
from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program


def draw(program: Program) -> Figure:
    """Draw the set that each filter finds, with the leaves in it."""
    model = program.names("MultiParam").MultiParam(4, 2, rngs=nnx.Rngs(0))
    model.seen = jnp.array(0)
    found = {
        name: paths(model, wanted)
        for name, wanted in (("...", ...), ("nnx.Variable", nnx.Variable), ("nnx.Param", nnx.Param))
    }
    every, variables, params = found.values()
    others = [path for path in variables if path not in params]
    arrays = [path for path in every if path not in variables]

    drawing = Drawing()
    drawing.box(0, 0, 340, 150, "array")
    drawing.text((12, 14), "all state", align="start")
    drawing.box(10, 28, 236, 112, "variable")
    drawing.text((22, 42), "found by nnx.Variable", align="start")
    drawing.box(20, 56, 142, 74, "param")
    drawing.text((32, 70), "found by nnx.Param", align="start")
    for number, path in enumerate(params):
        drawing.box(30 + 64 * number, 88, 58, 26, "param", path)
    for path in others:
        drawing.box(176, 88, 58, 26, "variable", path)
    for path in arrays:
        drawing.box(264, 88, 58, 26, "array", path)
    return drawing.figure(
        "multi-param",
        "Types inside of types",
        f"Three sets, one inside of the other. The innermost, what `nnx.Param` finds, holds {' and '.join(params)}; "
        f"`nnx.Variable` finds these and {' and '.join(others)}; "
        f"the state has {' and '.join(arrays)} besides, an array without a wrapper.",
        f"Every Param is a Variable: a filter for Variables finds all {len(variables)}, and one for Params "
        f"{len(params)} of them. The array `{arrays[0]}`, without a wrapper, is in the state and is found by neither.",
    )
