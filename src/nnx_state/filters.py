"""Filters that Flax does not ship, and two functions that show what a filter selects."""

import dataclasses
import math
from typing import Any

import jax
from flax import nnx
from flax.nnx.filterlib import Filter, Predicate, to_predicate

from nnx_state._paths import leaves

__all__ = ["Attribute", "Exactly", "paths", "sizes"]


@dataclasses.dataclass(frozen=True)
class Exactly:
    """A filter that matches the Variables of one class and leaves out its subclasses.

    A class alone, such as `nnx.Param`, is a filter that matches its subclasses too.
    Two equal `Exactly` compare and hash as equal, so that `nnx.jit` does not trace again; two lambdas never do.

    Attributes:
        kind: The class, `nnx.Variable` or one derived from it.

    Raises:
        TypeError: If `kind` is no class that derives from `nnx.Variable`.

    ```python
    from flax import nnx

    from nnx_state import Exactly, MultiParam, paths

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    print(Exactly(nnx.Variable), paths(model, Exactly(nnx.Variable)))
    ```

    ```{.text .output}
    Exactly(Variable) ['count']
    ```
    """

    kind: type[nnx.Variable[Any]]

    def __post_init__(self) -> None:
        if not (isinstance(self.kind, type) and issubclass(self.kind, nnx.Variable)):
            raise TypeError(
                f"kind must be nnx.Variable or a class derived from it, got {self.kind!r}: "
                "pass a class such as nnx.Param, or filter with a callable of your own."
            )

    def __call__(self, path: tuple[Any, ...], value: Any) -> bool:
        """Tell whether the class of the leaf is `kind` itself; the path plays no role."""
        return type(value) is self.kind

    def __repr__(self) -> str:
        return f"Exactly({self.kind.__name__})"


@dataclasses.dataclass(frozen=True)
class Attribute:
    """A filter that matches leaves by the last part of their path, in every layer.

    `nnx.PathContains("bias")` would match whatever lies inside a submodule named `bias` too.

    Attributes:
        name: The name of an attribute, the key in an `nnx.Dict` or the position in an `nnx.List`.

    Raises:
        TypeError: If `name` is neither a str nor an int.

    ```python
    from flax import nnx

    from nnx_state import Attribute, MultiParam, paths

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    frozen_bias = nnx.All(nnx.Param, nnx.Not(Attribute("bias")))
    print(paths(model, frozen_bias))
    ```

    ```{.text .output}
    ['kernel']
    ```
    """

    name: str | int

    def __post_init__(self) -> None:
        if isinstance(self.name, bool) or not isinstance(self.name, (str, int)):
            raise TypeError(
                f"name must be a str or an int, got {self.name!r} of type {type(self.name).__name__}: "
                "pass the last part of a path, such as 'bias'."
            )

    def __call__(self, path: tuple[Any, ...], value: Any) -> bool:
        """Tell whether the path ends with `name`; the value plays no role."""
        return path[-1:] == (self.name,)

    def __repr__(self) -> str:
        return f"Attribute({self.name!r})"


def paths(model: Any, filter: Filter = ...) -> list[str]:  # noqa: A002 - the noun of NNX
    """List the leaves that a filter selects from the state of a model.

    Args:
        model: A module, or anything else that `nnx.state` takes.
        filter: Any filter of NNX; the default `...` selects every leaf.

    Returns:
        The path of each leaf, its parts joined by dots, in the order of the state.

    Raises:
        TypeError: If `filter` is not one that NNX knows.

    ```python
    from flax import nnx

    from nnx_state import paths

    model = nnx.Sequential(nnx.Linear(4, 2, rngs=nnx.Rngs(0)), nnx.relu)
    print(paths(model, nnx.Param), paths(model, nnx.BatchStat))
    ```

    ```{.text .output}
    ['layers.0.bias', 'layers.0.kernel'] []
    ```
    """
    return [path for path, _ in leaves(nnx.state(model, _predicate("filter", filter)))]


def sizes(model: Any, /, **filters: Filter) -> dict[str, int]:
    """Count the numbers that each group of a model's state holds, as `nnx.split` would divide it.

    A leaf counts in the first group whose filter matches, and a random key counts as one number.
    Only shapes are read: the function also works under `nnx.jit` and on what `nnx.eval_shape` returns.

    Args:
        model: A module, or anything else that `nnx.split` takes.
        **filters: A name and a filter for each group, in order; `rest=...` as the last takes what is left.

    Returns:
        The count of each group, by its name, in the order given.

    Raises:
        TypeError: If a filter is not one that NNX knows.
        ValueError: If no group is named, a leaf matches no filter, or `...` comes before another filter.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, sizes

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    print(sizes(model, trained=nnx.Param, rest=...))
    ```

    ```{.text .output}
    {'trained': 10, 'rest': 1}
    ```
    """
    if not filters:
        raise ValueError(
            "sizes needs one named filter or more, got none: pass groups such as trained=nnx.Param, rest=..."
        )
    for name, filter_ in filters.items():
        _predicate(name, filter_)
    _, *groups = nnx.split(model, *filters.values())  # the filters as given: NNX checks where `...` stands
    return {name: _size(group) for name, group in zip(filters, groups, strict=True)}


def _size(group: nnx.State[Any, Any]) -> int:
    """Count the numbers in the leaves of a state; a Python number is a leaf without a shape."""
    return sum(math.prod(getattr(leaf, "shape", ())) for leaf in jax.tree.leaves(group))


def _predicate(name: str, filter_: Filter) -> Predicate:
    """Turn a filter into its predicate; what NNX refuses, it refuses with a message about a format."""
    try:
        return to_predicate(filter_)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must be a filter of NNX, got {filter_!r} of type {type(filter_).__name__}: "
            "pass a class, a tag, a callable, a bool, None, `...` or a tuple of these."
        ) from error
