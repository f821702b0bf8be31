"""Dropout: whose stream it draws from, and when two calls have one mask."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.claims.compat import Layer, by_jax, names, numbers, traces
from nnx_state.claims.registry import claim, differs, expect

GUIDE = "a guide of Flax"
ISSUE = "an issue of Flax"


def draws(node: Any) -> list[int]:
    """Return how many keys each stream of a node has handed out."""
    return [int(number) for number in numbers(nnx.state(node, nnx.RngCount)).values()]


def dropout(rngs: Any = None) -> Any:
    return nnx.Dropout(0.5, deterministic=False, rngs=nnx.Rngs(0) if rngs is None else rngs)


def masks(outputs: Any) -> int:
    """Return how many different rows there are; say so where a row keeps all elements, or none."""
    rows = np.asarray(outputs)
    kept = (rows != 0).mean(axis=-1)
    expect(bool(((kept > 0) & (kept < 1)).all()), True)
    return len({tuple(row) for row in rows.tolist()})


def call(layer: Any, x: Any) -> Any:
    return layer(x)


@claim(
    "dropout-adds-random-state",
    "An `nnx.Dropout` adds one `nnx.RngKey` and one `nnx.RngCount` to the state, and no Param.",
    "lessons/randomness.md#run",
    GUIDE,
)
def dropout_adds_random_state() -> None:
    model: Any = Layer()
    model.dropout = dropout()
    found = [len(names(nnx.state(model, kind))) for kind in (nnx.RngKey, nnx.RngCount, nnx.Param)]
    expect(found, [1, 1, 2])


@claim(
    "dropout-draws-in-training",
    "A training call of `nnx.Dropout` raises the count of its stream by one, and a call in evaluation mode does not.",
    "lessons/randomness.md#run",
)
def dropout_draws_in_training() -> None:
    layer, seen = dropout(), []
    for mode in ("train", "train", "eval"):
        before = draws(layer)
        getattr(layer, mode)()
        layer(jnp.ones(4))
        seen.append(draws(layer)[0] - before[0])
    expect(seen, [1, 1, 0])


@claim(
    "dropout-has-its-own-stream",
    "An `nnx.Dropout` draws from a stream of its own: to use it does not advance the `rngs` that it was built with.",
    "lessons/randomness.md#see",
)
def dropout_has_its_own_stream() -> None:
    rngs = nnx.Rngs(0)
    layer = dropout(rngs)
    before, own = draws(rngs), draws(layer)
    layer(jnp.ones(4))
    if draws(rngs) != before:
        differs("the `rngs` has handed out one more key")
    expect(draws(layer), [own[0] + 1])


@claim(
    "dropouts-differ",
    "Two `nnx.Dropout` layers built with one `rngs` keep different elements.",
    "lessons/randomness.md#see",
)
def dropouts_differ() -> None:
    rngs = nnx.Rngs(0)
    layers = [dropout(rngs) for _ in range(2)]
    expect(masks([layer(jnp.ones(32)) for layer in layers]), 2)


@claim(
    "clone-repeats-the-masks",
    "A clone of an `nnx.Dropout` keeps the elements that the original keeps, call by call.",
    "lessons/randomness.md#one-mask-for-all",
)
def clone_repeats_the_masks() -> None:
    layer = dropout()
    clone = nnx.clone(layer)
    outputs = [[one(jnp.ones(32)) for one in (layer, clone)] for _ in range(2)]
    expect([masks(pair) for pair in outputs], [1, 1])
    expect(masks([pair[0] for pair in outputs]), 2)


@claim(
    "jax-jit-repeats-the-mask",
    "Under `jax.jit` an `nnx.Dropout` that is an argument keeps the same elements at every call, without an error.",
    "lessons/randomness.md#predict",
)
def jax_jit_repeats_the_mask() -> None:
    layer, compiled = dropout(), jax.jit(call)
    outputs = [by_jax(lambda: compiled(layer, jnp.ones(32))) for _ in range(3)]
    expect(masks(outputs), 1)


@claim(
    "nnx-jit-draws-new-masks",
    "Under `nnx.jit` an `nnx.Dropout` keeps other elements at every call.",
    "lessons/randomness.md#one-mask-for-all",
)
def nnx_jit_draws_new_masks() -> None:
    layer = dropout()
    compiled, counted = traces(call)
    expect((masks([compiled(layer, jnp.ones(32)) for _ in range(3)]), len(counted)), (3, 1))


@claim(
    "vmap-gives-each-a-mask",
    "`nnx.vmap` over the examples of a batch gives each of them a dropout mask of its own.",
    "lessons/randomness.md#one-mask-for-all",
    ISSUE,
)
def vmap_gives_each_a_mask() -> None:
    count = masks(nnx.vmap(call, in_axes=(None, 0))(dropout(), jnp.ones((4, 32))))
    if count != 4:
        differs(f"4 examples have {count} mask")


@claim(
    "split-rngs-gives-each-a-mask",
    "`nnx.split_rngs`, and `nnx.StateAxes` that map the random state, give each example under `nnx.vmap` its own mask.",
    "lessons/randomness.md#one-mask-for-all",
    GUIDE,
)
def split_rngs_gives_each_a_mask() -> None:
    axes: Any = {nnx.RngState: 0, ...: None}
    mapped = nnx.split_rngs(splits=4)(nnx.vmap(call, in_axes=(nnx.StateAxes(axes), 0)))
    expect(masks(mapped(dropout(), jnp.ones((4, 32)))), 4)


@claim(
    "reseed-goes-by-the-name",
    "`nnx.reseed(layer, dropout=1)` gives other masks to an `nnx.Dropout` that was built with `nnx.Rngs(0)`.",
    "lessons/randomness.md#one-mask-for-all",
)
def reseed_goes_by_the_name() -> None:
    one, two = dropout(), dropout()
    nnx.reseed(two, dropout=1)
    if masks([one(jnp.ones(32)), two(jnp.ones(32))]) == 1:
        differs("nothing happens: its stream is `default`")
