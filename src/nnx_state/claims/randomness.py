"""Random streams: what a seed, a stream's name and a layer's own stream decide."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.claims.compat import Layer, leaves, names, numbers, read, refuses_outer, under
from nnx_state.claims.registry import SEED, claim, differs, expect, need, raises

GUIDE = "a guide of Flax"
ISSUE = "an issue of Flax"


def bits(key: Any) -> list[int]:
    """Return the numbers in a random key."""
    return list(jax.random.key_data(key).tolist())


def draws(node: Any) -> list[int]:
    """Return how many keys each stream of a node has handed out."""
    return [int(number) for number in numbers(nnx.state(node, nnx.RngCount)).values()]


def refuses(seed: Any) -> None:
    """Go on where `nnx.Rngs` raises a ValueError for a seed."""
    try:
        rngs = nnx.Rngs(seed)
    except ValueError as error:
        expect("Invalid rng value" in str(error), True)
        return
    try:
        rngs.params()
    except TypeError:
        differs("the `nnx.Rngs` is built, and its first key raises a TypeError")
    differs("nothing is raised")


@claim(
    "seed-decides-the-sequence",
    "`rngs.params()` gives a fresh key at each call, and one seed, `nnx.Rngs(int(seed))`, the same sequence again.",
    "lessons/linear.md#see",
    SEED,
)
def seed_decides_the_sequence() -> None:
    one, two = nnx.Rngs(int(3.0)), nnx.Rngs(3)
    keys = [bits(one.params()) for _ in range(3)]
    expect(keys == [bits(two.params()) for _ in range(3)], True)
    expect(len({tuple(key) for key in keys}), 3)


@claim(
    "draw-is-a-fold",
    "Draw number `n` of a stream is `jax.random.fold_in(jax.random.key(seed), n)`, counted from 0.",
    "lessons/randomness.md#see",
)
def draw_is_a_fold() -> None:
    rngs = nnx.Rngs(0)
    folds = [bits(jax.random.fold_in(jax.random.key(0), number)) for number in range(3)]
    expect([bits(rngs.params()) for _ in range(3)] == folds, True)


@claim(
    "numpy-seed-is-refused",
    "`nnx.Rngs` takes a Python int: `nnx.Rngs(np.int64(5))` raises a ValueError.",
    "lessons/randomness.md#five-errors",
)
def numpy_seed_is_refused() -> None:
    seed: Any = np.int64(5)
    refuses(seed)


@claim(
    "array-seed-is-refused",
    "`nnx.Rngs(jnp.array(5))` raises a ValueError, since an array of integers is no seed.",
    "lessons/randomness.md#five-errors",
)
def array_seed_is_refused() -> None:
    refuses(jnp.array(5))


@claim(
    "undeclared-stream-is-default",
    "`nnx.Rngs(0)` answers to any name: a stream that was not declared falls back to `default`.",
    "lessons/randomness.md#see",
    GUIDE,
)
def undeclared_stream_is_default() -> None:
    rngs = nnx.Rngs(0)
    rngs.params(), rngs.dropout(), rngs.noise()
    expect(numbers(nnx.state(rngs, nnx.RngCount)), {"default.count": 3})


@claim(
    "missing-stream-raises",
    "`nnx.Rngs(params=0).dropout()` raises an AttributeError: there is neither that stream nor a default.",
    "lessons/randomness.md#five-errors",
    GUIDE,
)
def missing_stream_raises() -> None:
    rngs = nnx.Rngs(params=0)
    expect(len(bits(rngs.params())), 2)
    raises(lambda: rngs.dropout(), AttributeError, ("No RngStream named 'dropout'", "No RNG named 'dropout'"))


@claim(
    "name-enters-the-key",
    "Two streams with one seed and two names, as in `nnx.Rngs(params=0, dropout=0)`, give different keys.",
    "lessons/randomness.md#see",
)
def name_enters_the_key() -> None:
    rngs = nnx.Rngs(params=0, dropout=0)
    if bits(rngs.params()) == bits(rngs.dropout()):
        differs("they give the same keys")


@claim(
    "jit-refuses-outer-rngs",
    "To call an `nnx.Rngs` of the outside inside `jax.jit` raises a TraceContextError.",
    "lessons/randomness.md#five-errors",
    ISSUE,
)
def jit_refuses_outer_rngs() -> None:
    rngs = nnx.Rngs(0)

    def count() -> Any:
        (count,) = leaves(nnx.state(rngs, nnx.RngCount)).values()
        return read(count)

    draw = jax.jit(lambda x: x + jax.random.normal(rngs.params()))
    refuses_outer(lambda: draw(1.0), count, "the count of the stream")


@claim(
    "nnx-jit-advances-rngs",
    "An `nnx.Rngs` that is an argument of an `nnx.jit` function goes on from call to call: each draws a new key.",
    "lessons/transforms.md",
    GUIDE,
)
def nnx_jit_advances_rngs() -> None:
    rngs, draw = nnx.Rngs(0), under(nnx.jit, lambda rngs: jax.random.normal(rngs.params()))
    expect([len({float(draw(rngs)) for _ in range(3)}), draws(rngs)], [3, [3]])


@claim(
    "stored-rngs-are-state",
    "A module that stores its `rngs` has a key and a count more, so that `nnx.split(model, nnx.Param)` raises.",
    "lessons/randomness.md#five-errors",
)
def stored_rngs_are_state() -> None:
    model: Any = Layer()
    del model.count
    _, params = nnx.split(model, nnx.Param)
    expect(names(params), ["bias", "kernel"])
    model.rngs = nnx.Rngs(0)
    expect(names(nnx.state(model, nnx.Not(nnx.Param))), ["rngs.default.count", "rngs.default.key"])
    raises(lambda: nnx.split(model, nnx.Param), ValueError, "Non-exhaustive filters")


@claim(
    "rngs-makes-numbers",
    "`nnx.Rngs(0).normal((3,))` draws a key and makes the numbers that `jax.random.normal(key, (3,))` makes.",
    "lessons/randomness.md#five-errors",
    GUIDE,
)
def rngs_makes_numbers() -> None:
    need(nnx.Rngs, "normal")
    one, two = nnx.Rngs(0), nnx.Rngs(0)
    made = jax.random.normal(two.params(), (3,)).tolist()
    expect([one.normal((3,)).tolist() == made, draws(one)], [True, [1]])
