"""vmap: a stacked kernel, beside a count for each member and one count for all."""

from workshop.figures.drawing import Drawing, Figure
from workshop.figures.program import Program

_CELL = 12


def draw(program: Program) -> Figure:
    """Draw the kernel and the count of the two ensembles of the page, after a call of each."""
    page = program.names("call", "build_many")
    drawing, told, counts = Drawing(), [], []
    for number, (name, axes) in enumerate({"all on axis 0": 0, "Param 0, rest None": page.shared}.items()):
        models = page.build_many(3, axes)
        page.nnx.vmap(page.call, in_axes=(axes, None))(models, page.batch)
        members, rows, columns = models.layer.kernel.shape
        calls, x = models.calls[...], 178.0 * number
        drawing.text((x + 81, 8), name, "strong", width=162)
        for member in range(members):
            left = x + 57 * member
            drawing.text((left + 24, 30), f"[{member}]", "code")
            drawing.box(left, 42, _CELL * columns, _CELL * rows, "param")
            for line in range(1, rows):
                drawing.line((left, 42 + _CELL * line), (left + 48, 42 + _CELL * line), home="param")
                drawing.line((left + _CELL * line, 42), (left + _CELL * line, 90), home="param")
            if calls.ndim:
                drawing.box(left, 118, 48, 22, "variable", str(calls[member]))
        if not calls.ndim:
            drawing.box(x, 118, 162, 22, "variable", str(calls))
        shape = " by ".join(map(str, models.layer.kernel.shape))
        drawing.text((x + 81, 103), f"kernel {shape}", "soft")
        drawing.text((x + 81, 152), "calls" if calls.ndim else "calls, one for all", "soft")
        counts.append(calls.size)
        title = f"{name[0].upper()}{name[1:]}"
        told.append(f"{title}: the kernels of {members} members are stacked, and there is {_count(calls.size)}.")
    return drawing.figure(
        "vmap-scan",
        "What members have of their own, and what they share",
        f"Two ensembles. {' '.join(told)}",
        "The kernel is stacked in both: place 1 on its first axis is the kernel of member 1. "
        f"On the left the count lives on axis 0 as well, as {counts[0]} numbers; on the right {counts[1]} serves all.",
    )


def _count(size: int) -> str:
    return "one count for all" if size == 1 else f"a count for each, {size} in all"
