"""Split and merge: who holds which Variable, and which memory the arrays lie in."""

from typing import Any

from flax import nnx

from workshop.figures.drawing import Box, Drawing, Figure
from workshop.figures.program import Program

_ROW = 30


def draw(program: Program) -> Figure:
    """Draw holders, Variables and memory before and after a write into the model."""
    page = program.names("calls")
    model = page.MultiParam(4, 2, rngs=nnx.Rngs(0))
    holders = {"model": model} | {name: page.calls[name](model) for name in ("nnx.state", "nnx.clone")}
    holders["snapshot"] = page.snapshot(model)
    biases = {
        name: holder["bias"] if isinstance(holder, nnx.State) else holder.bias for name, holder in holders.items()
    }

    drawing = Drawing()
    before = _state(drawing, 0, "at first", biases)
    model.bias[...] += 1
    after = _state(drawing, 166, "after model.bias[...] += 1", biases)
    follow = [name for name, bias in biases.items() if bias[0] == 1 and name != "model"]
    stay = [f"`{name}`" for name, bias in biases.items() if bias[0] == 0]
    return drawing.figure(
        "split-merge",
        "Variables and memory of a state, a clone and a snapshot",
        f"At first {before} After a write into the bias of the model, {after}",
        f"A write gives the Variable of the model another array. `{' and '.join(follow)}` holds that Variable and "
        f"follows; {' and '.join(stay)} hold Variables of their own, which keep the old array.",
    )


def _state(drawing: Drawing, top: float, title: str, biases: dict[str, Any]) -> str:
    """Draw who holds what now, and return it in words."""
    drawing.text((0, top + 8), title, "strong", align="start")
    for x, words in ((156, "Variable"), (288, "memory")):
        drawing.text((x, top + 26), words, "soft")
    rows = {name: top + 40 + _ROW * number for number, name in enumerate(biases)}
    variables: dict[int, list[str]] = {}
    memory: dict[int, list[str]] = {}
    for name, bias in biases.items():
        variables.setdefault(id(bias), []).append(name)
        memory.setdefault(bias[...].unsafe_buffer_pointer(), []).append(name)

    def middle(names: list[str]) -> float:
        return sum(rows[name] for name in names) / len(names)

    def boxes(groups: dict[int, list[str]], x: float, width: float, home: str) -> dict[str, Box]:
        found: dict[str, Box] = {}
        for names in groups.values():
            text = "bias" if home == "variable" else " ".join(f"{number:.0f}" for number in biases[names[0]])
            box = drawing.box(x, middle(names), width, 22, home, text)
            found |= dict.fromkeys(names, box)
        return found

    held, lying = boxes(variables, 126, 60, "variable"), boxes(memory, 248, 80, "array")
    for name, y in rows.items():
        drawing.text((0, y + 11), name, "code", align="start")
        drawing.arrow((76, y + 11), (held[name].x - 2, held[name].at().y))
    for names in variables.values():
        start, end = held[names[0]], lying[names[0]]
        drawing.arrow((start.x + start.width + 2, start.at().y), (end.x - 2, end.at().y))
    return f"{_listed(variables, 'Variable')}; {_listed(memory, 'piece of memory')}."


def _listed(groups: dict[int, list[str]], thing: str) -> str:
    """Return who has the same thing, in words."""
    places = (f"one {thing} belongs to", "another to", "a third to", "a fourth to")
    return ", ".join(f"{place} {_joined(names)}" for names, place in zip(groups.values(), places, strict=False))


def _joined(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
