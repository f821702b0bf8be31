"""Merging: what `nnx.merge` compares, which states it takes, and what a merged model writes to."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, bump, count_is, counted, leaves, loss, names, numbers, read, under
from nnx_state.claims.registry import claim, expect, need_keyword, raises, works

SEE = "lessons/split-merge.md#see"
FIT = "lessons/split-merge.md#an-update-that-does-not-fit"
LEVEL = "pitfalls.md#trace-context"
ISSUE = "an issue of Flax"


def kinds(model: Any) -> dict[str, str]:
    """Return the type of each leaf of a model, by path."""
    return {path: type(leaf).__name__ for path, leaf in leaves(model).items()}


def parted(model: Any) -> tuple[Any, Any, Any]:
    """Return the graphdef of a model, its Params, and the rest."""
    split: Any = nnx.split
    return split(model, nnx.Param, ...)  # type: ignore[no-any-return]


@claim(
    "merge-refuses-a-state-too-many",
    "`nnx.merge` with a state too many raises a ValueError: the truth value of an array is ambiguous.",
    "pitfalls.md#ambiguous-truth",
    ISSUE,
)
def merge_refuses_a_state_too_many() -> None:
    graph, state = nnx.split(Layer())
    text = "The truth value of an array with more than one element is ambiguous"
    raises(lambda: nnx.merge(graph, state, nnx.state(Layer())), ValueError, text)


@claim(
    "merge-refuses-a-state-too-few",
    "`nnx.merge` with a state too few raises a ValueError that counts the leaves.",
    FIT,
    ISSUE,
)
def merge_refuses_a_state_too_few() -> None:
    graph, params, _ = parted(Layer())
    raises(lambda: nnx.merge(graph, params), ValueError, "Incorrect number of leaves, expected 3 leaves, but got 2")


@claim(
    "merge-refuses-another-name",
    "`nnx.merge` refuses a state in which a leaf has another name than in the graphdef.",
    FIT,
    ISSUE,
)
def merge_refuses_another_name() -> None:
    graph, state = nnx.split(Layer())
    renamed = nnx.State({"weight" if name == "kernel" else name: state[name] for name in ("bias", "count", "kernel")})
    raises(lambda: nnx.merge(graph, renamed), ValueError)


@claim(
    "merge-refuses-another-shape",
    "`nnx.merge` refuses a state in which an array has another shape than in the model that was split.",
    FIT,
)
def merge_refuses_another_shape() -> None:
    graph, _ = nnx.split(Layer())
    other = nnx.state(Layer(bias=lambda _: nnx.Param(jnp.zeros(5))))
    raises(lambda: nnx.merge(graph, other), ValueError)


@claim(
    "merge-makes-params-of-arrays",
    "`nnx.merge` takes a plain dict of arrays, and gives each of them the type that it had in the model.",
    SEE,
)
def merge_makes_params_of_arrays() -> None:
    graph, state = nnx.split(Layer())
    plain = {name: read(leaf) for name, leaf in leaves(state).items()}
    expect(isinstance(plain["kernel"], jax.Array), True)
    merged = works(lambda: nnx.merge(graph, plain))
    expect(kinds(merged), {"bias": "Param", "count": "Variable", "kernel": "Param"})


@claim(
    "merge-takes-the-type-of-the-graphdef",
    "A merged model has the types of the graphdef, where the state holds Variables of another type.",
    "lessons/own-types.md#see",
)
def merge_takes_the_type_of_the_graphdef() -> None:
    graph, _ = nnx.split(Layer())
    other = nnx.state(Layer(bias=nnx.Variable))
    merged = works(lambda: nnx.merge(graph, other))
    expect(kinds(merged)["bias"], "Param")


@claim(
    "merge-takes-states-in-any-order",
    "`nnx.merge` takes the states of a split in another order than `nnx.split` has returned them.",
    SEE,
)
def merge_takes_states_in_any_order() -> None:
    model = Layer()
    graph, params, rest = parted(model)
    merged = works(lambda: nnx.merge(graph, rest, params))
    expect(numbers(merged) == numbers(model), True)


@claim(
    "the-later-state-wins",
    "`nnx.merge_state` of two states holds what the later one has where both have a name.",
    SEE,
)
def the_later_state_wins() -> None:
    one = nnx.state(Layer(nnx.Variable(jnp.array(1.0))))
    two = Layer(nnx.Variable(jnp.array(2.0)), bias=lambda _: nnx.Param(jnp.ones(2)))
    merged = nnx.merge_state(one, nnx.state(two, nnx.Not(nnx.Param)))
    expect(names(merged), ["bias", "count", "kernel"])
    expect([numbers(merged)[name] for name in ("bias", "count")], [[0.0, 0.0], 2.0])


@claim(
    "update-takes-several-states",
    "`nnx.update` takes several states at once, and puts each of them into the model.",
    SEE,
)
def update_takes_several_states() -> None:
    model, other = Layer(), Layer(nnx.Variable(jnp.array(7.0)), bias=lambda _: nnx.Param(jnp.ones(2)))
    _, params, rest = parted(other)
    nnx.update(model, params, rest)
    expect([read(model.bias).tolist(), float(read(model.count))], [[1.0, 1.0], 7.0])


@claim(
    "merged-model-cannot-write-in-jax-grad",
    "Where `jax.grad` differentiates one split state, a write of the merged model to another is a TraceContextError.",
    LEVEL,
    ISSUE,
)
def merged_model_cannot_write_in_jax_grad() -> None:
    graph, params, rest = parted(Layer())

    def visit(params: Any, rest: Any) -> Any:
        merged = nnx.merge(graph, params, rest)
        bump(merged)
        return loss(merged)

    text = "Cannot mutate Variable from a different trace level"
    raises(lambda: jax.grad(visit)(params, rest), "TraceContextError", text)


@claim(
    "nnx-grad-of-two-states-keeps-a-count",
    "`nnx.grad` of a loss that merges two states keeps what the merged model writes to the second.",
    LEVEL,
    ISSUE,
)
def nnx_grad_of_two_states_keeps_a_count() -> None:
    model = Layer()
    graph, params, rest = parted(model)

    def visit(params: Any, rest: Any) -> Any:
        merged = nnx.merge(graph, params, rest)
        bump(merged)
        return loss(merged)

    grads = works(lambda: nnx.grad(visit)(params, rest))
    expect(names(grads), ["bias", "kernel"])
    count_is(model, 1.0)


@claim(
    "a-merged-copy-loses-a-count",
    "In `jax.grad`, a model that `nnx.merge` makes with `copy=True` counts, and the model that was split does not.",
    LEVEL,
)
def a_merged_copy_loses_a_count() -> None:
    need_keyword(nnx.merge, "copy")
    model = Layer()
    graph, params, rest = parted(model)

    def visit(params: Any, rest: Any) -> Any:
        merged = nnx.merge(graph, params, rest, copy=True)
        bump(merged)
        return loss(merged), read(merged.count)

    _, inside = works(lambda: under(jax.grad, visit, has_aux=True)(params, rest))
    expect(float(inside), 1.0)
    count_is(model, 0.0)


@claim(
    "a-state-as-aux-keeps-a-count",
    "A loss under `jax.grad` may return the state of a merged copy as `aux`, and `nnx.update` takes a count back.",
    LEVEL,
)
def a_state_as_aux_keeps_a_count() -> None:
    need_keyword(nnx.merge, "copy")
    model = Layer()
    graph, params, rest = parted(model)

    def visit(params: Any, rest: Any) -> Any:
        merged = nnx.merge(graph, params, rest, copy=True)
        bump(merged)
        return loss(merged), nnx.state(merged, nnx.Not(nnx.Param))

    _, written = works(lambda: under(jax.grad, visit, has_aux=True)(params, rest))
    expect(names(written), ["count"])
    nnx.update(model, written)
    count_is(model, 1.0)


@claim(
    "jvp-takes-split-params",
    "`jax.jvp` takes the Params of a split, and tangents that `jax.tree.map` makes of them.",
    SEE,
    ISSUE,
)
def jvp_takes_split_params() -> None:
    graph, params, rest = parted(Layer(nnx.Variable(jnp.zeros(()))))
    tangents = jax.tree.map(jnp.ones_like, params)
    _, slope = works(lambda: jax.jvp(lambda params: counted(nnx.merge(graph, params, rest)), (params,), (tangents,)))
    grads = jax.grad(lambda params: counted(nnx.merge(graph, params, rest)))(params)
    expect(bool(jnp.allclose(slope, sum(jnp.sum(leaf) for leaf in jax.tree.leaves(grads)), rtol=1e-4)), True)
