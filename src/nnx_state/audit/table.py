"""One walk over a model: each of its values, where it lives, what it is, and the line that made it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx

from nnx_state._hidden import hidden, is_foreign
from nnx_state._paths import dotted
from nnx_state.audit.lines import Place, assigned
from nnx_state.homes import kinds

Path = tuple[Any, ...]


@dataclass(frozen=True)
class Row:
    """One value of a model.

    Attributes:
        path: its path, the parts joined by dots, such as `layers.0.kernel`.
        home: the class of its Variable, such as `"Param"`; `"array"` for a leaf without one, `"static"` for what is
            no leaf, `"hidden"` for a Variable or an array that the state does not hold.
        held: the Variable, the array, or the static value itself; nothing is copied.
        around: the classes of the objects around it, from the one that has it as an attribute to the model.
        is_attribute: whether that object has it itself, and no dict or list of Python is between them.
        also: the other paths of the same Variable.
        place: the line that assigns it in the first class around it that is not one of Flax; None if none does.
    """

    path: str
    home: str
    held: Any
    around: tuple[type, ...]
    is_attribute: bool
    also: tuple[str, ...]
    place: Place | None

    @property
    def owner(self) -> type:
        """Return the class of the object that has it as an attribute."""
        return self.around[0]

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def parent(self) -> str:
        """Return the path of what has it: all but its name."""
        return self.path.rpartition(".")[0]

    @property
    def kind(self) -> str:
        """Return the class of its Variable, hidden or not, or `"array"` if it has none."""
        return type(self.held).__name__ if isinstance(self.held, nnx.Variable) else "array"

    @property
    def arrays(self) -> list[Any]:
        """Return the arrays that it holds: one, or more where a Variable holds a tree, or none."""
        if self.home == "static":
            return []
        value = self.held.get_raw_value() if isinstance(self.held, nnx.Variable) else self.held
        return [leaf for leaf in jax.tree.leaves(value) if hasattr(leaf, "dtype") and hasattr(leaf, "shape")]

    @property
    def nbytes(self) -> int:
        """Return how many bytes its arrays have; a random key counts as the numbers inside."""
        return sum(math.prod(array.shape) * array.dtype.itemsize for array in self.arrays)

    @property
    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the Variable, such as the names of its axes."""
        return dict(self.held.get_metadata()) if isinstance(self.held, nnx.Variable) else {}

    def data(self) -> dict[str, Any]:
        """Return it for programs, in types of JSON."""
        arrays = self.arrays
        return {
            "path": self.path,
            "home": self.home,
            "shape": [list(array.shape) for array in arrays],
            "dtype": [str(array.dtype) for array in arrays],
            "nbytes": self.nbytes,
            "metadata": sorted(self.metadata),
            "owner": f"{self.owner.__module__}.{self.owner.__qualname__}",
            "also": list(self.also),
            "line": str(self.place) if self.place else None,
        }


def table(model: nnx.Module) -> list[Row]:
    """Return a row for each value of a model: its Variables, arrays and static values, and what is hidden.

    Args:
        model: a module, with numbers or an abstract one; it is not changed.

    Raises:
        TypeError: If `model` is not a module.
    """
    homes = kinds(model)
    nodes = dict(nnx.iter_graph(model))
    others = _others(model)
    rows = []
    for path, value in nodes.items():
        home = homes.get(dotted(path))
        is_hidden = home == "static" and isinstance(value, nnx.Variable | jax.Array)  # it is told below
        if home and not is_hidden:
            around, is_attribute, place = _origin(nodes, path, value)
            rows.append(Row(dotted(path), home, value, around, is_attribute, _also(others, path), place))
    for path, value in sorted(hidden(model), key=lambda found: dotted(found[0])):
        around, is_attribute, place = _origin(nodes, path, value)
        rows.append(Row(dotted(path), "hidden", value, around, is_attribute, (), place))
    return rows


def _others(model: nnx.Module) -> dict[Path, list[Path]]:
    """Return the other paths of each Variable or module that has several, by the first."""
    return {tuple(group[0]): list(map(tuple, group[1:])) for group in nnx.find_duplicates(model)}


def _also(others: dict[Path, list[Path]], path: Path) -> tuple[str, ...]:
    """Return the other paths of a value: its own, or those of the nearest module around it that has several."""
    for length in range(len(path), 0, -1):
        if path[:length] in others:
            return tuple(dotted((*other, *path[length:])) for other in others[path[:length]])
    return ()


def _origin(nodes: dict[Path, Any], path: Path, value: Any) -> tuple[tuple[type, ...], bool, Place | None]:
    """Return the classes around a value, whether it is an attribute itself, and the user's line that put it there."""
    chain = list(_chain(nodes, path, value))
    place = None
    for parent, name, held, rest in chain:
        if not is_foreign(type(parent)):
            place = assigned(parent, str(name), held, rest)
            break
    return tuple(type(parent) for parent, *_ in chain), not chain[0][-1], place


def _chain(nodes: dict[Path, Any], path: Path, value: Any) -> Iterator[tuple[Any, Any, Any, Path]]:
    """Yield each object of NNX around a value, from the inside, the name below it, what is held there, and the rest."""
    for length in reversed(range(len(path))):
        parent = nodes.get(path[:length])
        if isinstance(parent, nnx.Pytree):
            held = nodes.get(path[: length + 1], object()) if length + 1 < len(path) else value
            yield parent, path[length], held, path[length + 1 :]
