"""Streams that repeat: which copies of a random stream draw the same numbers again."""

import copy
import pickle
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import leaves, read, write
from nnx_state.claims.registry import claim, expect, need_keyword, works

SEE = "lessons/randomness.md#see"
MASK = "lessons/randomness.md#one-mask-for-all"
RESUME = "lessons/randomness.md#a-resume-that-takes-another-path"
COPIES = "lessons/split-merge.md#run"
SEEDS = "lessons/randomness.md#predict"
ISSUE = "an issue of Flax"


class Noisy(nnx.Module):
    """A model with a weight that keeps a stream."""

    def __init__(self) -> None:
        self.weight = nnx.Param(jnp.zeros(()))
        self.rngs = nnx.Rngs(noise=0)


def draw(model: Any) -> float:
    """Return the next number that the stream of a Noisy gives."""
    return float(jax.random.normal(model.rngs.noise()))


def drawn(model: Any) -> list[float]:
    """Return the next two numbers that the stream of a Noisy gives."""
    return [draw(model), draw(model)]


def copied(state: Any) -> Any:
    """Return a state with Variables of its own."""
    return jax.tree.map(lambda leaf: leaf, state)


@claim(
    "merges-of-one-split-go-on",
    "Two models that `nnx.merge` makes of one split draw different numbers, since they share the stream.",
    COPIES,
)
def merges_of_one_split_go_on() -> None:
    graph, state = nnx.split(Noisy())
    one, other = nnx.merge(graph, state), nnx.merge(graph, state)
    expect([draw(one), draw(other)] == drawn(Noisy()), True)


@claim(
    "merged-copies-repeat",
    "Two models that `nnx.merge` makes of one split with `copy=True` draw the same numbers.",
    COPIES,
)
def merged_copies_repeat() -> None:
    need_keyword(nnx.merge, "copy")
    graph, state = nnx.split(Noisy())
    one, other = (nnx.merge(graph, state, copy=True) for _ in range(2))
    first, second = drawn(one)
    expect([drawn(other) == [first, second], first == second], [True, False])


@claim(
    "merged-copies-of-trees-repeat",
    "Two models that `nnx.merge` makes of two `jax.tree.map` copies of one state draw the same numbers.",
    COPIES,
    ISSUE,
)
def merged_copies_of_trees_repeat() -> None:
    graph, state = nnx.split(Noisy())
    one, other = (nnx.merge(graph, copied(state)) for _ in range(2))
    first, second = drawn(one)
    expect([drawn(other) == [first, second], first == second], [True, False])


@claim(
    "deepcopy-repeats",
    "`copy.deepcopy(model)` draws the numbers that the model draws afterwards.",
    COPIES,
)
def deepcopy_repeats() -> None:
    model = Noisy()
    taken = copy.deepcopy(model)
    first, second = drawn(model)
    expect([drawn(taken) == [first, second], first == second], [True, False])


@claim(
    "a-pickled-stream-repeats",
    "A model that went through `pickle` draws the numbers that the model draws afterwards.",
    COPIES,
)
def a_pickled_stream_repeats() -> None:
    model = Noisy()
    taken = works(lambda: pickle.loads(pickle.dumps(model)))
    first, second = drawn(model)
    expect([works(lambda: drawn(taken)) == [first, second], first == second], [True, False])


@claim(
    "a-restored-stream-repeats",
    "After `nnx.update` with a copy of an earlier state, a model draws again what it has drawn since.",
    RESUME,
    ISSUE,
)
def a_restored_stream_repeats() -> None:
    model = Noisy()
    taken = copied(nnx.state(model))
    first, second = draw(model), draw(model)
    nnx.update(model, taken)
    expect([draw(model) == first, draw(model) == second], [True, True])


@claim(
    "params-alone-leave-the-stream",
    "A model that is built anew and gets the Params alone of a trained one draws from the start of its stream.",
    RESUME,
)
def params_alone_leave_the_stream() -> None:
    trained, fresh = Noisy(), Noisy()
    first, second = drawn(trained)
    write(trained.weight, jnp.ones(()))
    nnx.update(fresh, nnx.state(trained, nnx.Param))
    expect(float(read(fresh.weight)), 1.0)
    expect([drawn(fresh) == [first, second], first == second], [True, False])


@claim(
    "one-seed-one-mask",
    "Two models that are built with one seed draw the same masks.",
    SEEDS,
)
def one_seed_one_mask() -> None:
    first, *others = (nnx.Dropout(0.5, rngs=nnx.Rngs(seed))(jnp.ones(32)) for seed in (0, 0, 1))
    expect([bool((mask == first).all()) for mask in others], [True, False])


@claim(
    "jax-jit-repeats-a-split-stream",
    "Where a function under `jax.jit` merges a split and returns no state, each call draws the same numbers.",
    MASK,
    ISSUE,
)
def jax_jit_repeats_a_split_stream() -> None:
    graph, state = nnx.split(Noisy())

    @jax.jit
    def call(state: Any) -> Any:
        return jax.random.normal(nnx.merge(graph, state).rngs.noise())

    first = float(works(lambda: call(state)))
    expect([float(call(state)) == first, draw(nnx.merge(graph, state)) == first], [True, True])


@claim(
    "jax-jit-advances-a-returned-stream",
    "Where a function under `jax.jit` returns its state, a call with what the last one returned draws other numbers.",
    MASK,
)
def jax_jit_advances_a_returned_stream() -> None:
    graph, state = nnx.split(Noisy())

    @jax.jit
    def call(state: Any) -> Any:
        model = nnx.merge(graph, state)
        return jax.random.normal(model.rngs.noise()), nnx.state(model)

    first, state = works(lambda: call(state))
    second, state = call(state)
    expect(float(first) == float(second), False)


@claim(
    "jax-jit-repeats-rngs",
    "A function under `jax.jit` that takes an `nnx.Rngs` draws the same numbers at each call.",
    MASK,
    ISSUE,
)
def jax_jit_repeats_rngs() -> None:
    rngs = nnx.Rngs(noise=0)
    call: Any = jax.jit(lambda rngs: jax.random.normal(rngs.noise()))
    first = float(works(lambda: call(rngs)))
    expect([float(call(rngs)) == first, float(jax.random.normal(rngs.noise())) == first], [True, True])


@claim(
    "a-fork-draws-its-own-numbers",
    "What `rngs.fork()` returns draws other numbers than `rngs`, and than a second fork.",
    SEE,
)
def a_fork_draws_its_own_numbers() -> None:
    rngs = nnx.Rngs(noise=0)
    forks = [works(lambda: rngs.fork()) for _ in range(2)]
    drawn = works(lambda: {float(jax.random.normal(each.noise())) for each in (rngs, *forks)})
    expect(len(drawn), 3)


@claim(
    "a-stream-is-a-key-and-a-count",
    "A stream of `nnx.Rngs` has two leaves: a draw raises the count by one, and leaves the key as it is.",
    SEE,
)
def a_stream_is_a_key_and_a_count() -> None:
    def held(model: Any) -> tuple[int, list[Any]]:
        state = leaves(model)
        (count,) = (read(leaf) for path, leaf in state.items() if "count" in path)
        (key,) = (read(leaf) for path, leaf in state.items() if "key" in path)
        return int(count), jax.random.key_data(key).tolist()

    model = Noisy()
    count, key = held(model)
    draw(model)
    expect(held(model) == (count + 1, key), True)
