"""Donation: which arrays a model holds after a compiled call, and who still holds those from before."""

import copy
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, bump, count_is, counting, loss, numbers, read, under, write
from nnx_state.claims.registry import claim, differs, expect, need_keyword, raises, works

COST = "lessons/cost.md#see"
DONATED = "lessons/split-merge.md#a-donation-empties-the-original"
DELETED = "pitfalls.md#array-deleted"
BOUND = "lessons/cost.md#calls-that-raise"
EMPTY = "Array has been deleted"


def scale(model: Any) -> None:
    """Write into the kernel and the bias of a Layer, and count."""
    write(model.kernel, read(model.kernel) * 0.5)
    write(model.bias, read(model.bias) + 1.0)
    bump(model)


def donate(model: Any) -> None:
    """Write to a model under an `nnx.jit` that donates it."""
    nnx.jit(scale, donate_argnums=0)(model)


@claim(
    "jit-leaves-the-arrays-it-reads",
    "After a call of `nnx.jit` that reads a model and writes nothing, its Variables hold the arrays from before.",
    COST,
)
def jit_leaves_the_arrays_it_reads() -> None:
    model = Layer()
    before = read(model.kernel)
    nnx.jit(loss)(model)
    if read(model.kernel) is not before:
        differs("the kernel is another array")


@claim(
    "graph-false-leaves-the-arrays-it-reads",
    "After a call of `nnx.jit` with `graph=False` that writes the count alone, the kernel is the array from before.",
    COST,
)
def graph_false_leaves_the_arrays_it_reads() -> None:
    need_keyword(nnx.jit, "graph")
    model = Layer()
    before = read(model.kernel)
    under(nnx.jit, bump, graph=False)(model)
    count_is(model, 1.0)
    if read(model.kernel) is not before:
        differs("the kernel is another array")


@claim(
    "clone-shares-arrays-after-jit",
    "After a call of `nnx.jit` that reads a model and writes nothing, the model and its `nnx.clone` share arrays.",
    "lessons/split-merge.md#see",
)
def clone_shares_arrays_after_jit() -> None:
    model = Layer()
    clone = nnx.clone(model)
    if read(clone.kernel) is not read(model.kernel):
        differs("they share none before it, either")
    nnx.jit(loss)(model)
    if read(clone.kernel) is not read(model.kernel):
        differs("the kernel of the model is another array")


@claim(
    "jit-donates-nothing",
    "Who holds an array of a model reads it after a call of `nnx.jit` that has written to the model.",
    DONATED,
)
def jit_donates_nothing() -> None:
    model = Layer()
    held = read(model.bias)
    under(nnx.jit, scale)(model)
    expect(read(model.bias).tolist(), [1.0, 1.0])
    expect([held.is_deleted(), works(held.tolist)], [False, [0.0, 0.0]])


@claim(
    "donating-jit-deletes",
    "`nnx.jit` with `donate_argnums=0` deletes the arrays that the model held before, and the model holds new ones.",
    DONATED,
)
def donating_jit_deletes() -> None:
    model = Layer()
    held = read(model.bias)
    donate(model)
    expect(read(model.bias).tolist(), [1.0, 1.0])
    expect(held.is_deleted(), True)


@claim(
    "donating-jit-writes-as-another",
    "A step under `nnx.jit` leaves the same numbers in a model, whether it donates the model or not.",
    DONATED,
)
def donating_jit_writes_as_another() -> None:
    model, other = Layer(), Layer()
    donate(model)
    under(nnx.jit, scale)(other)
    count_is(model, 1.0)
    expect(numbers(model) == numbers(other), True)


@claim(
    "donation-deletes-what-is-read-alone",
    "`nnx.jit` with `donate_argnums=0` deletes an array that it reads alone, and the model holds another.",
    DONATED,
)
def donation_deletes_what_is_read_alone() -> None:
    model = Layer()
    held = read(model.kernel)
    total = float(jnp.sum(held))
    nnx.jit(bump, donate_argnums=0)(model)
    expect(held.is_deleted(), True)
    expect(float(jnp.sum(read(model.kernel))), total)


@claim(
    "donation-empties-a-clone",
    "To read an `nnx.clone` that was made before a donating step raises a RuntimeError: the array has been deleted.",
    DELETED,
)
def donation_empties_a_clone() -> None:
    model = Layer()
    clone = nnx.clone(model)
    donate(model)
    raises(lambda: read(clone.bias).tolist(), RuntimeError, EMPTY)


@claim(
    "clone-with-arrays-outlives-a-donation",
    "A copy by `nnx.clone(model, arrays=True)` is read after a step that donates the model.",
    DELETED,
)
def clone_with_arrays_outlives_a_donation() -> None:
    need_keyword(nnx.clone, "arrays")
    model = Layer()
    clone = nnx.clone(model, arrays=True)
    donate(model)
    expect(read(model.bias).tolist(), [1.0, 1.0])
    expect(works(lambda: read(clone.bias).tolist()), [0.0, 0.0])


@claim(
    "deepcopy-outlives-a-donation",
    "A copy by `copy.deepcopy(model)` is read after a step that donates the model.",
    DELETED,
)
def deepcopy_outlives_a_donation() -> None:
    model = Layer()
    taken = copy.deepcopy(model)
    donate(model)
    expect(read(model.bias).tolist(), [1.0, 1.0])
    expect(works(lambda: read(taken.bias).tolist()), [0.0, 0.0])


@claim(
    "state-follows-a-donation",
    "A state that was taken by `nnx.state` before a donating step reads what the step has written.",
    "lessons/split-merge.md#the-best-weights-change",
)
def state_follows_a_donation() -> None:
    model = Layer()
    state = nnx.state(model)
    donate(model)
    expect(works(lambda: read(state["bias"]).tolist()), [1.0, 1.0])


@claim(
    "donated-state-empties-the-model",
    "A call of `jax.jit` that donates the state of `nnx.split` empties the model: a RuntimeError says it is deleted.",
    DONATED,
)
def donated_state_empties_the_model() -> None:
    model = Layer()
    _, state = nnx.split(model)
    jax.jit(lambda state: jax.tree.map(lambda leaf: leaf + 1.0, state), donate_argnums=0)(state)
    raises(lambda: read(model.bias).tolist(), RuntimeError, EMPTY)


@claim(
    "donate-argnames-deletes",
    "`nnx.jit` with `donate_argnames='model'` deletes the arrays of a model that is passed by that name.",
    DONATED,
)
def donate_argnames_deletes() -> None:
    model = Layer()
    held = read(model.bias)
    works(lambda: nnx.jit(scale, donate_argnames="model")(model=model))
    expect(read(model.bias).tolist(), [1.0, 1.0])
    expect(held.is_deleted(), True)


@claim(
    "cached-partial-donates",
    "A step that donates its model runs twice through `nnx.cached_partial`, and the model counts two.",
    BOUND,
)
def cached_partial_donates() -> None:
    model = counting()
    step: Any = works(lambda: nnx.cached_partial(nnx.jit(scale, donate_argnums=0), model))
    for _ in range(2):
        works(step)
    count_is(model, 7.0)


@claim(
    "cached-partial-takes-a-plain-array",
    "`nnx.cached_partial` binds a model that holds a plain array beside its Variables.",
    BOUND,
)
def cached_partial_takes_a_plain_array() -> None:
    model = Layer(count=jnp.array(2.0))
    call: Any = works(lambda: nnx.cached_partial(nnx.jit(lambda model: model.count * 3.0), model))
    expect(float(works(call)), 6.0)
