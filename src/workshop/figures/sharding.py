"""Sharding: which part of three arrays each device of the mesh holds."""

from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program

_MESH = (2, 4)
_COLOURS = {"x": "array", "kernel": "param", "count": "variable"}
Block = tuple[tuple[int, int], ...]


def blocks(mesh: tuple[int, int]) -> dict[str, tuple[tuple[int, ...], list[Block]]]:
    """Return the shape of each array and the block of it on each device, as ranges; it runs in a process of its own."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import ShardedLinear

    by_row = jax.P("data")  # type: ignore[no-untyped-call]  # JAX does not say what it takes
    with jax.set_mesh(jax.make_mesh(mesh, ("data", "model"))):
        model = ShardedLinear(4, 8, rngs=nnx.Rngs(0))
        arrays = {
            "x": jax.device_put(jnp.eye(8, 4), by_row),
            "kernel": model.kernel[...],
            "count": model.count[...],
        }
    found = {}
    for name, array in arrays.items():
        places = array.sharding.devices_indices_map(array.shape)
        parts = [places[device] for device in sorted(places, key=lambda device: device.id)]
        ranges = [tuple(one.indices(n)[:2] for one, n in zip(part, array.shape, strict=True)) for part in parts]
        found[name] = (array.shape, ranges)
    return found


def draw(_program: Program) -> Figure:
    """Draw the mesh, and in each device every array with the block that it holds."""
    from nnx_state import run_on_devices

    [found] = run_on_devices(blocks, _MESH, timeout=600.0)
    drawing = Drawing()
    for column in range(_MESH[1]):
        drawing.text((70 + 78 * column, 8), f"model {column}", "soft")
    for row in range(_MESH[0]):
        top = 20 + 120 * row
        for column in range(_MESH[1]):
            device = _MESH[1] * row + column
            left = 34 + 78 * column
            drawing.box(left, top, 72, 112)
            drawing.text((left + 36, top + 11), f"device {device}", "soft", width=72)
            y = top + 24
            for name, (shape, ranges) in found.items():
                _array(drawing, left + 36, y, shape, ranges[device], _COLOURS[name])
                y += 44 if name == "x" else 28
        drawing.text((0, top + 50), "data", "soft", align="start")
        drawing.text((0, top + 64), str(row), "soft", align="start")
    y = 272
    for name, x in zip(found, (40, 130, 240), strict=True):
        drawing.box(x, y - 6, 12, 12, f"{_COLOURS[name]} full")
        drawing.text((x + 18, y), name, "code", align="start")
    halves, columns = len(set(found["x"][1])), len(set(found["kernel"][1]))
    return drawing.figure(
        "sharding",
        "What lies on each device",
        f"A mesh of {_MESH[0]} rows, the axis data, and {_MESH[1]} columns, the axis model. Each row holds one of "
        f"{halves} parts of the rows of `x`, each column one of {columns} parts of the columns of `kernel`, "
        f"and each of the {len(found['count'][1])} devices a copy of `count`.",
        f"Filled is the block that a device holds. `x` is cut along data into {halves} blocks, `kernel` along model "
        f"into {columns}, and each device has all of `count`.",
    )


def _array(drawing: Drawing, middle: float, top: float, shape: tuple[int, ...], block: Block, home: str) -> None:
    """Draw an array as a frame, and fill a block of it; a number is one cell."""
    cell = 5 if len(shape) == 2 and shape[0] > shape[1] else 6
    rows, columns = shape or (2, 2)
    (first, last), (left, right) = block or ((0, rows), (0, columns))
    x = middle - cell * columns / 2
    drawing.box(x, top, cell * columns, cell * rows, "static")
    drawing.box(x + cell * left, top + cell * first, cell * (right - left), cell * (last - first), f"{home} full")
