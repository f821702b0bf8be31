"""Updates: what `nnx.update` takes, and what a state becomes without its Variables."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import Layer, grad, leaves, loss, numbers, optimizer, read, update
from nnx_state.claims.registry import claim, differs, expect, works

GUIDE = "a guide of Flax"


@claim(
    "update-wants-every-leaf",
    "`nnx.update(model, state)` raises if the state lacks a leaf of the model.",
    "lessons/counters.md#a-restore-that-asks-nothing",
)
def update_wants_every_leaf() -> None:
    model = Layer()
    part = nnx.state(Layer(bias=lambda zeros: nnx.Param(zeros + 1.0)), nnx.Param)
    expect(sorted(leaves(part)), ["bias", "kernel"])
    try:
        nnx.update(model, part)
    except (KeyError, ValueError):
        return
    expect(numbers(model)["bias"], [1.0, 1.0])
    differs("nothing is raised: the other leaves stay as they are")


@claim(
    "pure-dict-goes-both-ways",
    "`nnx.to_pure_dict` makes a plain dict of arrays of a state, and `nnx.replace_by_pure_dict` puts it back.",
    "lessons/split-merge.md#see",
    GUIDE,
)
def pure_dict_goes_both_ways() -> None:
    plain = nnx.to_pure_dict(nnx.state(Layer(count=nnx.Variable(jnp.array(7.0)))))
    expect([type(plain).__name__, isinstance(plain["count"], jax.Array)], ["dict", True])
    state: Any = nnx.state(Layer())
    nnx.replace_by_pure_dict(state, plain)
    expect(numbers(state)["count"], 7.0)


@claim(
    "update-takes-a-dict",
    "`nnx.update(model, {'count': array})` takes a plain dict of plain arrays, and the Variable stays the one it was.",
    "lessons/split-merge.md#see",
)
def update_takes_a_dict() -> None:
    model = Layer()
    count = model.count
    works(lambda: nnx.update(model, {"count": jnp.array(7.0)}))
    expect([model.count is count, float(read(model.count))], [True, 7.0])


@claim(
    "as-pure-strips-variables",
    "`nnx.as_pure(nnx.state(model))` is a state whose leaves are plain arrays in the place of Variables.",
    "lessons/split-merge.md#predict",
)
def as_pure_strips_variables() -> None:
    found = leaves(nnx.as_pure(nnx.state(Layer())))
    expect({path: isinstance(leaf, jax.Array) for path, leaf in found.items()}, dict.fromkeys(found, True))
    expect(sorted(found), ["bias", "count", "kernel"])


@claim(
    "update-fits-an-optimizer",
    "`nnx.update(optimizer, state)` puts the state of one optimizer into another.",
    "lessons/checkpoints.md#run",
    GUIDE,
    instead="Cannot set key 'count' on immutable node",
)
def update_fits_an_optimizer() -> None:
    model = Layer()
    one, two = optimizer(model, optax.adam(0.1)), optimizer(Layer(), optax.adam(0.1))
    update(one, model, grad(loss, model))
    expect(numbers(nnx.state(two)) == numbers(nnx.state(one)), False)
    nnx.update(two, nnx.state(one))
    expect(numbers(nnx.state(two)) == numbers(nnx.state(one)), True)
