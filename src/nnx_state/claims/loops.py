"""Loops, branches, remat and methods: how often a function is traced, and what of its writes is kept."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, bump, bumped, count_is, leaves, loss, numbers, read, under
from nnx_state.claims.registry import claim, differs, expect, need_keyword, raises, works

SEE = "lessons/transforms.md#see"
FLOW = "lessons/transforms.md#control-flow-from-jaxlax"
AGAIN = "lessons/transforms.md#the-step-compiles-at-every-call"
CLOSED = "lessons/transforms.md#the-model-is-not-an-argument"
MASKS = "lessons/randomness.md#see"
TREE: dict[str, Any] = {"graph": False}  # takes a module for a tree
METHOD = "does not support bound methods. Use the decorator form"


class Counter(Layer):
    """A Layer whose call counts."""

    def forward(self, x: Any) -> Any:
        """Count one, and return the output."""
        bump(self)
        return self(x)


def strong() -> Layer:
    """Return a layer whose count is a float32 that no loop converts."""
    return Layer(nnx.Variable(jnp.zeros(())))


def counting_traces(function: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], list[int]]:
    """Return a function of a model that does the same, and a list that gets one entry for each trace."""
    traced: list[int] = []

    def visit(model: Any) -> Any:
        traced.append(1)
        return function(model)

    return visit, traced


def counting_runs(function: Callable[[Any], Any]) -> tuple[Callable[[Any], Any], Callable[[], int]]:
    """Return a function of a model that does the same, and what tells how often that has been computed."""
    runs: list[int] = []

    def visit(model: Any) -> Any:
        jax.debug.callback(lambda: runs.append(1))
        return function(model)

    def times() -> int:
        barrier: Any = jax.effects_barrier
        barrier()  # a callback may come late
        return len(runs)

    return visit, times


def below_two(model: Any) -> Any:
    """Tell whether a model has counted less than two."""
    return read(model.count) < 2.0


def averaging() -> Any:
    """Return a BatchNorm that moves half way."""
    return nnx.BatchNorm(2, momentum=0.5, rngs=nnx.Rngs(0))


def batch() -> Any:
    """Return two examples with the means 5 and 3."""
    return jnp.array([[4.0, 2.0], [6.0, 4.0]])


class Masked(nnx.Module):
    """A model whose loss is the sum of the weights that a Dropout leaves."""

    def __init__(self) -> None:
        self.weight = nnx.Param(jnp.arange(16.0))
        self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))

    def draws(self) -> int:
        """Return how many masks have been drawn."""
        return sum(int(read(leaf)) for path, leaf in leaves(self).items() if "count" in path)


def masked(model: Any) -> Any:
    """Return the loss of a Masked."""
    return jnp.sum(model.dropout(read(model.weight)) ** 2)


@claim(
    "cond-is-traced-once",
    "`nnx.cond` with `graph=False` traces its branch once in three calls with one function.",
    AGAIN,
)
def cond_is_traced_once() -> None:
    need_keyword(nnx.cond, "graph")
    visit, traced = counting_traces(bump)
    model = strong()
    for _ in range(3):
        nnx.cond(True, visit, bump, model, **TREE)
    count_is(model, 3.0)
    expect(len(traced), 1)


@claim(
    "switch-is-traced-once",
    "`nnx.switch` with `graph=False` traces its branch once in three calls with one function.",
    AGAIN,
)
def switch_is_traced_once() -> None:
    need_keyword(nnx.switch, "graph")
    visit, traced = counting_traces(bump)
    model = strong()
    for _ in range(3):
        nnx.switch(1, [bump, visit], model, **TREE)
    count_is(model, 3.0)
    expect(len(traced), 1)


@claim(
    "while-is-traced-once",
    "`nnx.while_loop` with `graph=False` traces its body once in three calls with one function.",
    AGAIN,
)
def while_is_traced_once() -> None:
    need_keyword(nnx.while_loop, "graph")
    visit, traced = counting_traces(bumped)
    for _ in range(3):
        model = strong()
        nnx.while_loop(below_two, visit, model, **TREE)
        count_is(model, 2.0)
    expect(len(traced), 1)


@claim(
    "fori-is-traced-once",
    "`nnx.fori_loop` with `graph=False` traces its body once in three calls with one function.",
    AGAIN,
)
def fori_is_traced_once() -> None:
    need_keyword(nnx.fori_loop, "graph")
    visit, traced = counting_traces(bumped)

    def step(_: Any, model: Any) -> Any:
        return visit(model)

    model = strong()
    for _ in range(3):
        nnx.fori_loop(0, 2, step, model, **TREE)
    count_is(model, 6.0)
    expect(len(traced), 1)


@claim(
    "fori-returns-the-model-itself",
    "The model that `nnx.fori_loop` returns is the one that it was given.",
    FLOW,
)
def fori_returns_the_model_itself() -> None:
    model = strong()
    returned = nnx.fori_loop(0, 3, lambda _, model: bumped(model), model)
    count_is(returned, 3.0)
    if returned is not model:
        differs("it is another model")


@claim(
    "while-returns-the-model-itself",
    "The model that `nnx.while_loop` returns is the one that it was given.",
    FLOW,
)
def while_returns_the_model_itself() -> None:
    model = strong()
    returned: Any = nnx.while_loop(below_two, bumped, model)
    count_is(returned, 2.0)
    if returned is not model:
        differs("it is another model")


@claim(
    "remat-counts-once",
    "A loss under `nnx.grad` that calls a model through `nnx.remat` counts once, although it is computed twice.",
    SEE,
)
def remat_counts_once() -> None:
    visit, times = counting_runs(lambda model: loss(bumped(model)))
    model = strong()
    nnx.grad(lambda model: nnx.remat(visit)(model))(model)
    expect(times(), 2)
    count_is(model, 1.0)


@claim(
    "jax-checkpoint-loses-a-count",
    "A function under `jax.checkpoint` counts in a copy of the model, and the count is lost in silence.",
    FLOW,
    "an issue of Flax",
)
def jax_checkpoint_loses_a_count() -> None:
    def visit(model: Any) -> Any:
        return read(bumped(model).count)

    model = strong()
    inside = works(lambda: jax.checkpoint(visit)(model))
    expect(float(inside), 1.0)
    count_is(model, 0.0)


@claim(
    "jax-checkpoint-keeps-averages",
    "`jax.checkpoint` of a call in training keeps the averages of an `nnx.BatchNorm`.",
    "lessons/batch-stats.md#see",
)
def jax_checkpoint_keeps_averages() -> None:
    def visit(model: Any, x: Any) -> Any:
        model(x)
        return read(model.mean)

    model = averaging()
    expect(works(lambda: jax.checkpoint(visit)(model, batch())).tolist(), [2.5, 1.5])
    if (means := read(model.mean).tolist()) != [2.5, 1.5]:
        differs(f"they are {means} afterwards")


@claim(
    "remat-keeps-averages",
    "`nnx.remat` of a call in training keeps the averages of an `nnx.BatchNorm`.",
    "lessons/batch-stats.md#see",
)
def remat_keeps_averages() -> None:
    model = averaging()
    under(nnx.remat, lambda model, x: model(x))(model, batch())
    expect(read(model.mean).tolist(), [2.5, 1.5])


@claim(
    "remat-repeats-the-mask",
    "With Dropout, `nnx.grad` through `nnx.remat` gives the gradients that it gives without.",
    MASKS,
)
def remat_repeats_the_mask() -> None:
    visit, times = counting_runs(masked)
    plain, remade = works(lambda: [nnx.grad(function)(Masked()) for function in (masked, nnx.remat(visit))])
    expect(times(), 2)
    expect(numbers(remade), numbers(plain))
    unlike = Masked()
    masked(unlike)
    expect(numbers(nnx.grad(masked)(unlike)) == numbers(plain), False)


@claim(
    "remat-draws-once",
    "A loss with Dropout through `nnx.remat` under `nnx.grad` advances the stream by one.",
    MASKS,
)
def remat_draws_once() -> None:
    model = Masked()
    expect(model.draws(), 0)
    visit, times = counting_runs(masked)
    works(lambda: nnx.grad(nnx.remat(visit))(model))
    expect(times(), 2)
    expect(model.draws(), 1)


@claim(
    "jit-refuses-a-bound-method",
    "`nnx.jit` of a bound method raises a ValueError that asks for the decorator or the method of the class.",
    CLOSED,
)
def jit_refuses_a_bound_method() -> None:
    raises(lambda: nnx.jit(Counter().forward)(jnp.ones(4)), ValueError, f"nnx.jit {METHOD}")


@claim(
    "remat-refuses-a-bound-method",
    "`nnx.remat` of a bound method raises a ValueError that asks for the decorator or the method of the class.",
    CLOSED,
)
def remat_refuses_a_bound_method() -> None:
    raises(lambda: nnx.remat(Counter().forward)(jnp.ones(4)), ValueError, f"nnx.remat {METHOD}")


@claim(
    "jit-takes-the-method-of-a-class",
    "`nnx.jit(Model.forward)(model, x)`, of a method that counts, counts in the model.",
    CLOSED,
)
def jit_takes_the_method_of_a_class() -> None:
    model = Counter()
    compiled: Any = nnx.jit(Counter.forward)
    expect(compiled is Counter.forward, False)
    works(lambda: compiled(model, jnp.ones(4)))
    count_is(model, 1.0)
