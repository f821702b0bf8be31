"""Pytrees and ties: modules as JAX sees them, and Variables under two names."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, grad, names, numbers, read
from nnx_state.claims.registry import NotApplicable, claim, expect

PAGE = "lessons/containers.md"
TIES = "lessons/split-merge.md#a-tie-comes-apart"


def tied() -> Any:
    """Return a Layer whose bias has a second name."""
    model: Any = Layer()
    model.again = model.bias
    return model


def need_pytrees() -> None:
    """Go on where a module is a pytree."""
    if len(jax.tree.leaves(Layer())) == 1:
        raise NotApplicable("a module is no JAX pytree")


def weights(model: Any) -> Any:
    """Return a number of which a tied bias has the gradient 1 under one name, and 2 under the other."""
    return jnp.sum(read(model.bias) + 2.0 * read(model.again))


@claim(
    "module-is-a-pytree",
    "A module is a pytree of JAX, whose leaves are its three arrays.",
    f"{PAGE}#see",
)
def module_is_a_pytree() -> None:
    kinds = ["array" if isinstance(leaf, jax.Array) else type(leaf).__name__ for leaf in jax.tree.leaves(Layer())]
    expect(kinds, ["array"] * 3)


@claim(
    "tree-map-returns-a-module",
    "`jax.tree.map(lambda x: x + 1, model)` returns a module with other numbers.",
    TIES,
)
def tree_map_returns_a_module() -> None:
    need_pytrees()
    mapped = jax.tree.map(lambda x: x + 1, Layer())
    expect((type(mapped).__name__, float(read(mapped.count)), type(mapped.kernel).__name__), ("Layer", 1.0, "Param"))


@claim(
    "dataclass-module",
    "A module may be a dataclass: a field that holds a Param is a leaf of the state, and a number is static.",
    f"{PAGE}#see",
)
def dataclass_module() -> None:
    @dataclasses.dataclass
    class Scale(nnx.Module):
        factor: Any
        width: int = 3

    model = Scale(nnx.Param(jnp.ones(2)))
    expect(names(model), ["factor"])
    expect(nnx.merge(*nnx.split(model)).width, 3)


@claim("tie-survives-merge", "A Variable under two names is still one after `nnx.split` and `nnx.merge`.", TIES)
def tie_survives_merge() -> None:
    merged = nnx.merge(*nnx.split(tied()))
    expect(merged.again is merged.bias, True)
    expect(len(names(tied())), 3)


@claim("grad-sums-over-a-tie", "`nnx.grad` returns one gradient for a Variable under two names, the sum of both.", TIES)
def grad_sums_over_a_tie() -> None:
    found = numbers(grad(weights, tied()))
    expect({name: value for name, value in found.items() if name != "kernel"}, {"again": [3.0, 3.0]})


@claim("jax-grad-splits-a-tie", "`jax.grad` returns two gradients for a Variable under two names.", TIES)
def jax_grad_splits_a_tie() -> None:
    need_pytrees()
    found = jax.grad(weights)(tied())
    expect((read(found.bias).tolist(), read(found.again).tolist()), ([1.0, 1.0], [2.0, 2.0]))


@claim("tree-leaves-count-a-tie-twice", "`jax.tree.leaves` lists a Variable under two names twice.", TIES)
def tree_leaves_count_a_tie_twice() -> None:
    need_pytrees()
    expect(len(jax.tree.leaves(tied())), 4)


@claim("jax-jit-unties", "A model that `jax.jit` returns has lost its ties, and one from `nnx.jit` has not.", TIES)
def jax_jit_unties() -> None:
    need_pytrees()
    for jit, one in ((jax.jit, False), (nnx.jit, True)):
        model = jit(lambda model: model)(tied())
        expect(model.again is model.bias, one)
