"""What a planted fault is, and how one comes into a module."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
from flax import nnx

from nnx_state._paths import dotted
from nnx_state.audit import Row, table
from nnx_state.audit.rules.base import is_float
from workshop.zoo.watched import Line


@dataclass(frozen=True)
class Planted:
    """A fault that was put into a model.

    Attributes:
        path: where the rule has to find it.
        line: the file and the line that it has to name; None where no line of a class makes it.
        below: the path of all that the fault itself changes.
        given: what the audit is given besides the model: an optimizer, or how the model is saved.
    """

    path: str
    line: Line | None
    below: str
    given: dict[str, Any] = field(default_factory=dict)


Lines = Callable[[str], Line | None]  # where the value of a path was assigned
Plant = Callable[[Any, Lines], Planted | None]  # puts the fault into a model; nothing where it does not fit
FAULTS: dict[str, Plant] = {}


def fault(rule: str) -> Callable[[Plant], Plant]:
    """Register what puts the fault of a rule into a model."""

    def register(plant: Plant) -> Plant:
        FAULTS[rule] = plant
        return plant

    return register


def params(model: nnx.Module) -> Iterator[Row]:
    """Yield the Params that are attributes themselves, and that one class made in one place of the model."""
    for row in table(model):
        if row.home == "Param" and row.is_attribute and is_float(row) and not row.also:
            yield row


def parent_of(model: Any, row: Row) -> Any:
    """Return the object that holds a value."""
    nodes = {dotted(path): node for path, node in nnx.iter_graph(model)}
    return nodes[row.parent]


def replace(model: Any, lines: Lines, row: Row, value: Any, below: str = "") -> Planted:
    """Put a value in the place of a Param."""
    line, parent = lines(row.path), parent_of(model, row)
    delattr(parent, row.name)
    setattr(parent, row.name, value)
    return Planted(row.path + below, line, row.path)


def first(model: Any, names: set[str] | None = None) -> Row | None:
    """Return the first Param, or the first with one of some names."""
    return next((row for row in params(model) if names is None or row.name in names), None)


def become(model: Any, planted: type, name: str, sign: str = "") -> Planted | None:
    """Make a model one of a subclass, and let that plant an attribute; a model that is no pytree would become one.

    The line is the one that assigns the attribute, or the one with a sign.
    """
    if jax.tree_util.all_leaves([model]):
        return None
    model.__class__ = planted
    lines, first = inspect.getsourcelines(planted)
    line = next(number for number, text in enumerate(lines, start=first) if (sign or f"self.{name} = ") in text)
    model.plant()
    return Planted(name, (inspect.getsourcefile(planted) or "", line), name)
