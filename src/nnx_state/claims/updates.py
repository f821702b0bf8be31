"""Updates: what `nnx.update` takes, and what a state becomes without its Variables."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import Layer, grad, leaves, loss, numbers, optimizer, read, update
from nnx_state.claims.registry import claim, differs, expect, need

GUIDE = "a guide of Flax"


def pure_dict(state: Any) -> Any:
    """Return the plain dict of a state: a method of it, before there was a function."""
    if hasattr(nnx, "to_pure_dict"):
        return nnx.to_pure_dict(state)
    if not hasattr(nnx.State, "to_pure_dict"):
        need(nnx, "to_pure_dict")
    return state.to_pure_dict()


@claim(
    "update-wants-every-leaf",
    "`nnx.update(model, state)` raises if the state lacks a leaf of the model.",
    "lessons/counters.md#a-restore-that-asks-nothing",
)
def update_wants_every_leaf() -> None:
    nnx.update(Layer(), nnx.state(Layer(), nnx.Param))
    differs("nothing is raised: the other leaves stay as they are")


@claim(
    "update-wants-the-shape",
    "`nnx.update(model, state)` raises if an array has another shape than that of the model.",
    "lessons/split-merge.md#an-update-that-does-not-fit",
)
def update_wants_the_shape() -> None:
    model = Layer()
    nnx.update(model, nnx.state(Layer(bias=lambda _: nnx.Param(jnp.zeros(5))), nnx.Param))
    differs(f"nothing is raised: the bias has the shape {read(model.bias).shape}")


@claim(
    "update-knows-the-names",
    "`nnx.update(model, state)` raises if the state has a leaf that the model does not have, such as a misspelt one.",
    "lessons/split-merge.md#an-update-that-does-not-fit",
)
def update_knows_the_names() -> None:
    model: Any = Layer()
    other: Any = Layer()
    other.cuont = nnx.Variable(jnp.array(9.0))
    nnx.update(model, nnx.state(other))
    differs(f"nothing is raised: the model has a new attribute, a {type(model.cuont).__name__}")


@claim(
    "pure-dict-goes-both-ways",
    "`nnx.to_pure_dict` makes a plain dict of arrays of a state, and `nnx.replace_by_pure_dict` puts it back.",
    "lessons/split-merge.md#see",
    GUIDE,
)
def pure_dict_goes_both_ways() -> None:
    plain = pure_dict(nnx.state(Layer(count=nnx.Variable(jnp.array(7.0)))))
    expect([type(plain).__name__, isinstance(plain["count"], jax.Array)], ["dict", True])
    state: Any = nnx.state(Layer())
    if hasattr(nnx, "replace_by_pure_dict"):
        nnx.replace_by_pure_dict(state, plain)
    else:
        state.replace_by_pure_dict(plain)
    expect(numbers(state)["count"], 7.0)


@claim(
    "update-takes-a-dict",
    "`nnx.update(model, {'count': array})` takes a plain dict of plain arrays, and the Variable stays the one it was.",
    "lessons/split-merge.md#see",
)
def update_takes_a_dict() -> None:
    model = Layer()
    count = model.count
    try:
        nnx.update(model, {"count": jnp.array(7.0)})
    except (AttributeError, ValueError) as error:
        differs(f"a dict is refused with an {type(error).__name__}")
    expect([model.count is count, float(read(model.count))], [True, 7.0])


@claim(
    "as-pure-strips-variables",
    "`nnx.as_pure(nnx.state(model))` is a state whose leaves are plain arrays in the place of Variables.",
    "lessons/split-merge.md#predict",
)
def as_pure_strips_variables() -> None:
    strip = getattr(nnx, "as_pure", None) or getattr(nnx, "pure", None)  # its older name
    if strip is None:
        need(nnx, "as_pure")
    found = leaves(strip(nnx.state(Layer())))  # type: ignore[misc]
    expect([isinstance(leaf, jax.Array) for leaf in found.values()], [True] * 3)


@claim(
    "update-fits-an-optimizer",
    "`nnx.update(optimizer, state)` puts the state of one optimizer into another.",
    "lessons/checkpoints.md#run",
    GUIDE,
)
def update_fits_an_optimizer() -> None:
    model = Layer()
    one, two = optimizer(model, optax.adam(0.1)), optimizer(Layer(), optax.adam(0.1))
    update(one, model, grad(loss, model))
    nnx.update(two, nnx.state(one))
    expect(numbers(nnx.state(two)) == numbers(nnx.state(one)), True)
