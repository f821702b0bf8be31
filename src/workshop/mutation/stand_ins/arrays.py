"""Types and arrays: what a Variable is, and what it can be used for."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
from flax import nnx

from workshop.mutation.stand_ins.registry import instead, stand_in, variables


@stand_in("batch-stat-and-cache-are-no-params", "ema-averages-are-params", "type-has-a-linen-name")
def types_are_others() -> Iterator[None]:
    """`nnx.BatchStat` is a kind of Param, the averages of `nnx.EMA` are BatchStats, and types have other names."""
    stat: Any = type("BatchStat", (nnx.Param,), {})

    def averages(model: Any, decay: float, only: Any) -> Any:
        return mock.Mock(params=nnx.List([nnx.Cache(jnp.zeros(()))]))

    with instead(nnx, BatchStat=stat, EMA=averages, variable_name_from_type=lambda kind: kind.__name__):
        yield


@stand_in("classic-param-is-a-variable")
def params_are_apart() -> Iterator[None]:
    """`nnx.Param` is no Variable."""
    with instead(nnx, Param=type("Param", (), {})):
        yield


@stand_in(
    "a-sum-replaces-the-variable",
    "an-array-replaces-the-variable",
    "the-old-variable-is-not-written",
)
def assignments_write() -> Iterator[None]:
    """An array that is assigned to the attribute of a Variable is written into it."""
    assign = nnx.Module.__setattr__

    def write(self: Any, name: str, value: Any) -> None:
        held = vars(self).get(name)
        if isinstance(held, nnx.Variable) and isinstance(value, jax.Array):
            held.set_value(value)
        else:
            assign(self, name, value)

    with instead(nnx.Module, __setattr__=write):
        yield


@stand_in("a-param-is-no-jax-array")
def params_pose_as_arrays() -> Iterator[None]:
    """A Param passes for an array."""
    with instead(jax, Array=nnx.Param):
        yield


@stand_in("a-sum-is-an-array", "classic-both-wrap-arrays")
def arrays_have_another_class() -> Iterator[None]:
    """What a Variable holds is no `jax.Array`."""
    with instead(jax, Array=type("Array", (), {})):
        yield


@stand_in("classic-forward-on-params", "matmul-takes-a-param-under-jit", "stop-gradient-takes-a-param")
def params_do_not_compute() -> Iterator[None]:
    """A Param is no operand of an array, and `jax.lax.stop_gradient` reads it."""

    def refuse(self: Any, other: Any = None) -> Any:
        raise TypeError("no operand")

    stop = jax.lax.stop_gradient
    with (
        instead(nnx.Variable, __jax_array__=refuse, __rmatmul__=refuse, __radd__=refuse),
        instead(jax.lax, stop_gradient=lambda x: stop(x.get_value())),
    ):
        yield


@stand_in("lax-add-refuses-a-param", "lax-takes-the-array-of-a-param")
def lax_takes_params_alone() -> Iterator[None]:
    """`jax.lax.add` takes Params, and no arrays."""

    def add(x: Any, y: Any) -> Any:
        if not isinstance(x, nnx.Param):
            raise TypeError("an array")
        return x.get_value() + y.get_value()

    with instead(jax.lax, add=add):
        yield


@stand_in(
    "float-and-int-take-a-variable",
    "format-of-a-variable-raises",
    "format-of-its-array",
    "order-of-a-variable-raises",
    "order-of-its-array",
)
def variables_answer_for_arrays() -> Iterator[None]:
    """A Variable compares and formats its number, and brackets and conversions give another."""

    def one(self: Any, *arguments: Any) -> Any:
        return jnp.ones(())

    with (
        instead(nnx.Variable, __getitem__=one, __float__=lambda self: 1.0, __format__=lambda self, spec: "0.00"),
        mock.patch.object(nnx.Variable, "__gt__", one, create=True),
    ):
        yield


@stand_in("a-python-float-is-weak")
def arrays_are_strong() -> Iterator[None]:
    """`jnp.array` gives every array a dtype of its own."""
    array = jnp.array
    with instead(jnp, array=lambda value: jnp.asarray(array(value), jnp.float32) + jnp.zeros((), jnp.float32)):
        yield


@stand_in(
    "get-value-is-overridden",
    "is-data-tells-arrays-from-numbers",
    "repr-names-the-types",
    "tabulate-has-a-column-a-type",
)
def looks_are_plain() -> Iterator[None]:
    """What shows a model shows no types, everything is data, and brackets read what is stored."""

    def stored(self: Any, index: Any) -> Any:
        return self.get_raw_value()[index]

    with (
        instead(nnx.Module, __repr__=lambda self: "a model"),
        instead(nnx, tabulate=lambda *arguments: "path\n", is_data=lambda value: True),
        instead(nnx.Variable, __getitem__=stored),
    ):
        yield


@stand_in("state-is-a-dict", "grad-returns-a-state")
def states_are_dicts() -> Iterator[None]:
    """`nnx.state` and `nnx.grad` return plain dicts."""
    state, derive = nnx.state, nnx.grad

    def grad(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        return lambda *arguments: dict(derive(function, **options)(*arguments))

    with instead(nnx, state=lambda node: dict(state(node)), grad=grad):
        yield


@stand_in("experimental-is-an-alias")
def old_imports_lead_elsewhere() -> Iterator[None]:
    """`flax.experimental.nnx` has types of its own."""
    import flax.experimental.nnx as old

    with instead(old, Param=type("Param", (), {})):
        yield


@stand_in("tree-leaves-count-a-tie-twice", "tree-map-returns-a-module")
def trees_know_ties() -> Iterator[None]:
    """`jax.tree` sees a Variable under two names once, as NNX does, and returns a module as it got it."""
    leaves, tree_map = jax.tree.leaves, jax.tree.map

    def distinct(node: Any, **options: Any) -> Any:
        return list(variables(node).values()) if isinstance(node, nnx.Module) else leaves(node, **options)

    def unchanged(function: Any, node: Any, *others: Any, **options: Any) -> Any:
        return node if isinstance(node, nnx.Module) else tree_map(function, node, *others, **options)

    with instead(jax.tree, leaves=distinct, map=unchanged):
        yield


@stand_in("hook-changes-the-read")
def hooks_are_ignored() -> Iterator[None]:
    """A read returns what is stored, whatever hooks there are."""
    with instead(nnx.Variable, get_value=lambda self: self.get_raw_value()):
        yield
