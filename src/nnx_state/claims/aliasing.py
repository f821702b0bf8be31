"""Aliasing: which calls share Variables with the model, and which copy them."""

import copy
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import Layer, add, leaves, names, numbers, read, step, under, write
from nnx_state.claims.registry import claim, differs, expect, need_keyword

PAGE = "lessons/split-merge.md"


def leaf(result: Any, name: str) -> Any:
    """Return a leaf of a model or of a State."""
    return getattr(result, name) if isinstance(result, nnx.Module) else leaves(result)[name]


def follows(copied: Callable[[Layer], Any], wanted: bool) -> None:
    """Go on where what a function makes of a model follows a later write into the model, or does not."""
    model = Layer()
    result = copied(model)
    add(model.count, 1.0)
    expect(float(read(model.count)), 1.0)
    if bool(read(leaf(result, "count")) == 1.0) != wanted:
        differs("it does not follow" if wanted else "it follows")


def shares_memory(copied: Callable[[Layer], Any]) -> bool:
    """Return whether a model and its copy hold the kernel in one buffer."""
    model = Layer()
    result = copied(model)
    return bool(read(leaf(result, "kernel")).unsafe_buffer_pointer() == read(model.kernel).unsafe_buffer_pointer())


@claim(
    "state-holds-the-variables",
    "The leaves of `nnx.state(model)` are the Variables of the model themselves.",
    f"{PAGE}#see",
)
def state_holds_the_variables() -> None:
    model = Layer()
    kernel = leaves(nnx.state(model))["kernel"]
    expect(type(kernel).__name__, "Param")
    expect(kernel is model.kernel, True)


@claim("write-to-a-state", "A write into a leaf of `nnx.state(model)` changes the model at once.", f"{PAGE}#see")
def write_to_a_state() -> None:
    model = Layer()
    write(leaves(nnx.state(model))["count"], jnp.array(5.0))
    expect(float(read(model.count)), 5.0)


@claim("split-shares", "The state that `nnx.split` returns follows later writes into the model.", f"{PAGE}#run")
def split_shares() -> None:
    follows(lambda model: nnx.split(model)[1], True)


@claim(
    "state-is-a-snapshot",
    "`best = nnx.state(model, nnx.Param)` keeps the best weights while training goes on.",
    f"{PAGE}#the-best-weights-change",
)
def state_is_a_snapshot() -> None:
    model = Layer()
    best, before = nnx.state(model, nnx.Param), numbers(nnx.state(model, nnx.Param))
    step(model, optax.sgd(0.1))
    expect(numbers(nnx.state(model, nnx.Param)) == before, False)
    if numbers(best) != before:
        differs("it holds the weights after the step")


@claim(
    "tree-map-copy-is-a-snapshot",
    "`jax.tree.map(jnp.copy, nnx.state(model))` keeps its numbers, and `nnx.update` writes them back.",
    f"{PAGE}#the-best-weights-change",
)
def tree_map_copy_is_a_snapshot() -> None:
    model = Layer()
    before = numbers(model)
    kept = jax.tree.map(jnp.copy, nnx.state(model))
    step(model, optax.sgd(0.1))
    expect(numbers(model) == before, False)
    expect(numbers(kept) == before, True)
    nnx.update(model, kept)
    expect(numbers(model) == before, True)


@claim(
    "merge-makes-a-new-model",
    "`nnx.merge(*nnx.split(model))` makes a model of its own, which does not follow later writes into the first.",
    f"{PAGE}#run",
)
def merge_makes_a_new_model() -> None:
    follows(lambda model: nnx.merge(*nnx.split(model)), False)


@claim(
    "merge-takes-several-states",
    "`nnx.merge(graph, params, rest)` puts the states together again, and the model has every value.",
    f"{PAGE}#see",
    "a guide of Flax",
)
def merge_takes_several_states() -> None:
    model = Layer(count=nnx.Variable(jnp.array(3.0)))
    merged = nnx.merge(*nnx.split(model, nnx.Param, ...))
    expect(numbers(merged) == numbers(model), True)
    expect(float(read(merged.count)), 3.0)


@claim(
    "merge-copies-on-request",
    "`nnx.merge(graph, state, copy=True)` makes Variables that no longer follow the model.",
    f"{PAGE}#run",
)
def merge_copies_on_request() -> None:
    need_keyword(nnx.merge, "copy")
    follows(lambda model: nnx.merge(*nnx.split(model), copy=True), False)


@claim("clone-is-independent", "A write into a model does not show in its `nnx.clone`.", f"{PAGE}#run")
def clone_is_independent() -> None:
    follows(nnx.clone, False)


@claim(
    "clone-has-its-own-memory",
    "`nnx.clone(model)` copies the arrays, so that the clone shares no memory with the model.",
    f"{PAGE}#a-donation-empties-the-original",
    "an issue of Flax",
)
def clone_has_its_own_memory() -> None:
    if shares_memory(nnx.clone):
        differs("both hold the kernel in one buffer")


@claim(
    "clone-copies-arrays-on-request",
    "`nnx.clone(model, arrays=True)` shares no memory with the model.",
    f"{PAGE}#a-donation-empties-the-original",
    "an issue of Flax",
)
def clone_copies_arrays_on_request() -> None:
    need_keyword(nnx.clone, "arrays")
    expect(shares_memory(lambda model: nnx.clone(model, arrays=True)), False)


@claim("copy-shares", "`copy.copy(model)` shares its Variables with the model.", f"{PAGE}#run")
def copy_shares() -> None:
    follows(copy.copy, True)


@claim("deepcopy-is-independent", "`copy.deepcopy(model)` shares neither Variables nor memory.", f"{PAGE}#run")
def deepcopy_is_independent() -> None:
    follows(copy.deepcopy, False)
    expect(shares_memory(copy.deepcopy), False)


@claim(
    "deepcopy-of-a-state-keeps-types",
    "`copy.deepcopy(nnx.state(model))` has leaves of the same classes.",
    f"{PAGE}#run",
)
def deepcopy_of_a_state_keeps_types() -> None:
    state = nnx.state(Layer())
    kind, copied = (type(leaves(one)["kernel"]) for one in (state, copy.deepcopy(state)))
    if copied is not kind:
        differs(f"a {kind.__name__} becomes a bare array" if issubclass(copied, jax.Array) else copied.__name__)


@claim("update-keeps-the-variables", "`nnx.update` writes into the Variables that the model has.", f"{PAGE}#see")
def update_keeps_the_variables() -> None:
    model, other = Layer(), Layer(count=nnx.Variable(jnp.array(7.0)))
    count = model.count
    nnx.update(model, nnx.state(other))
    expect(float(read(count)), 7.0)
    expect(model.count is count, True)


@claim(
    "update-touches-what-it-is-given",
    "`nnx.update` with a part of the state leaves the rest of the model as it is.",
    f"{PAGE}#see",
)
def update_touches_what_it_is_given() -> None:
    model, other = Layer(), Layer(count=nnx.Variable(jnp.array(7.0)))
    write(other.bias, jnp.ones((2,)))
    nnx.update(model, nnx.state(other, nnx.Not(nnx.Param)))
    expect([float(read(model.count)), float(read(other.count))], [7.0, 7.0])
    expect([read(model.bias).tolist(), read(other.bias).tolist()], [[0.0, 0.0], [1.0, 1.0]])


@claim(
    "update-refuses-another-shape",
    "`nnx.update` refuses an array of another shape or dtype than that of the Variable.",
    f"{PAGE}#an-update-that-does-not-fit",
)
def update_refuses_another_shape() -> None:
    for other in (jnp.zeros(5), jnp.zeros(2, jnp.int32)):
        model, changed = Layer(), Layer()
        changed.bias = nnx.Param(other)
        try:
            nnx.update(model, nnx.state(changed))
        except (TypeError, ValueError):
            continue
        bias = read(model.bias)
        expect((bias.shape, bias.dtype), (other.shape, other.dtype))
        differs(f"the bias becomes {bias.dtype}{list(bias.shape)}, and nothing is raised")


@claim(
    "update-refuses-an-unknown-name",
    "`nnx.update` refuses a name that the model does not have.",
    f"{PAGE}#an-update-that-does-not-fit",
)
def update_refuses_an_unknown_name() -> None:
    model: Any = Layer()
    other: Any = Layer()
    other.cuont = nnx.Variable(jnp.array(9.0))
    try:
        nnx.update(model, nnx.state(other))
    except (AttributeError, KeyError, TypeError, ValueError):
        return
    differs(f"the model gets a {type(model.cuont).__name__} of that name, and nothing is raised")


@claim("pop-removes", "`nnx.pop(model, nnx.Param)` removes from the model what it returns.", f"{PAGE}#see")
def pop_removes() -> None:
    model = Layer()
    expect(names(nnx.pop(model, nnx.Param)), ["bias", "kernel"])
    expect((names(model), hasattr(model, "kernel")), (["count"], False))


@claim(
    "jit-keeps-the-variables",
    "After a step under `nnx.jit` the model holds the same Variable objects as before.",
    "lessons/transforms.md",
)
def jit_keeps_the_variables() -> None:
    model = Layer()
    count = model.count
    under(nnx.jit, lambda model: add(model.count, 1.0))(model)
    expect(float(read(count)), 1.0)
    expect(model.count is count, True)
