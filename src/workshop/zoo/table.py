"""The table of modules, `models.toml`, read and built."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from workshop.zoo.results import packages


@dataclass(frozen=True)
class Entry:
    """A module of a package.

    Attributes:
        package: its name on the registry.
        name: the class, and what is special about it.
        make: what builds it anew, always alike.
        inputs: the arguments of a call; None where there are none.
    """

    package: str
    name: str
    make: Callable[[], Any]
    inputs: tuple[Any, ...] | None


def entries(package: str) -> Iterator[Entry]:
    """Yield the modules of a package, which has to be installed."""
    about = packages()[package]
    names: dict[str, Any] = {"jax": jax, "jnp": jnp, "nnx": nnx, "x": _numbers, "tokens": _tokens}
    exec(about["first"], names)
    for name, (make, call) in about["modules"].items():
        yield Entry(package, name, _maker(make, names), eval(f"({call},)", names) if call else None)


def _maker(make: str, names: dict[str, Any]) -> Callable[[], Any]:
    return lambda: eval(make, names | {"rngs": nnx.Rngs(0)})


def _numbers(*shape: int) -> jax.Array:
    return jax.random.uniform(jax.random.key(0), shape)


def _tokens(*shape: int) -> jax.Array:
    return jax.random.randint(jax.random.key(0), shape, 0, 10)
