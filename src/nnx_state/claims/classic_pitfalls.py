"""What the classic lesson warns of: its pitfalls, as it tells them."""

import tempfile
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
from flax import nnx

from nnx_state.claims.compat import NO_ARRAYS, Layer, add, names, read, step
from nnx_state.claims.registry import SEED, claim, differs, expect


class Visited(nnx.Module):
    """A layer that writes into its `count` whenever it is called."""

    def __init__(self, count: Any) -> None:
        self.kernel = nnx.Param(jnp.ones((4, 2)))
        self.count = count

    def __call__(self, x: Any) -> Any:
        """Add one to `count`, and return `x @ kernel`."""
        if isinstance(self.count, nnx.Variable):
            add(self.count, 1.0)
        else:
            self.count = self.count + 1.0
        return x @ read(self.kernel)


def restored(count: Callable[[float], Any]) -> float:
    """Return the count of a fresh layer after it got back, through a file, the state of one that had counted to 7."""
    saved, fresh = Layer(count=count(7.0)), Layer(count=count(0.0))
    with tempfile.TemporaryDirectory() as folder:
        checkpointer = ocp.StandardCheckpointer()
        checkpointer.save(f"{folder}/state", nnx.state(saved))
        getattr(checkpointer, "wait_until_finished", lambda: None)()  # older releases wait in `save`
        nnx.update(fresh, checkpointer.restore(f"{folder}/state", nnx.state(fresh)))
        checkpointer.close()
    return float(read(fresh.count))


def array(number: float) -> Any:
    return jnp.array(number)


@claim(
    "classic-variable-is-saved",
    "A plain `nnx.Variable` is saved and restored with the model's state.",
    "lessons/checkpoints.md",
    SEED,
)
def classic_variable_is_saved() -> None:
    expect(restored(lambda number: nnx.Variable(jnp.array(number))), 7.0)


@claim(
    "classic-tagged-counter-is-updated",
    "A counter wrapped as `nnx.Param` is updated by any optimizer as if it were a weight.",
    "lessons/homes.md#a-counter-tagged-param",
    SEED,
)
def classic_tagged_counter_is_updated() -> None:
    transformations = {
        "sgd": optax.sgd(0.1),
        "adam": optax.adam(0.1),
        "adamw": optax.adamw(0.1, weight_decay=0.1),
    }
    seen = {}
    for name, transformation in transformations.items():
        model = step(Layer(count=nnx.Param(jnp.array(5.0))), transformation)
        seen[name] = round(float(read(model.count)), 2)
    if 5.0 in seen.values():
        differs("one step takes 5.0 to " + ", ".join(f"{number} with {name}" for name, number in seen.items()))


@claim(
    "classic-array-is-no-state",
    "A plain `jnp` array as an attribute is static: it is not in `nnx.state(model)`.",
    "lessons/homes.md#see",
    SEED,
    instead=NO_ARRAYS,
)
def classic_array_is_no_state() -> None:
    found = names(Layer(count=array(0.0)))
    if "count" in found:
        differs("it is a leaf of the state")
    expect(found, ["bias", "kernel"])


@claim(
    "classic-split-ignores-array",
    "`nnx.split` ignores a plain `jnp` array.",
    "lessons/homes.md#see",
    SEED,
    instead=NO_ARRAYS,
)
def classic_split_ignores_array() -> None:
    _, state = nnx.split(Layer(count=array(0.0)))
    if "count" in names(state):
        differs("it is a leaf of the state that `nnx.split` returns")
    expect(names(state), ["bias", "kernel"])


@claim(
    "classic-array-is-not-saved",
    "A plain `jnp` array is not saved and restored with the model's state.",
    "lessons/homes.md#a-counter-without-a-label",
    SEED,
    instead=NO_ARRAYS,
)
def classic_array_is_not_saved() -> None:
    if (found := restored(array)) == 7.0:
        differs("it is saved and restored")
    expect(found, 0.0)


@claim(
    "classic-array-is-lost-by-merge",
    "An array assigned to a plain attribute in `__call__` does not survive `nnx.split` and `nnx.merge`.",
    "lessons/multi-param.md#a-change-that-does-not-come-back",
    SEED,
    instead=NO_ARRAYS,
)
def classic_array_is_lost_by_merge() -> None:
    model = Visited(array(0.0))
    model(jnp.ones(4))
    expect(float(model.count), 1.0)
    merged = nnx.merge(*nnx.split(model))
    if float(getattr(merged, "count", 0.0)) == 1.0:
        differs("it survives")


@claim(
    "classic-variable-survives-merge",
    "A change of an `nnx.Variable` in `__call__` survives `nnx.split` and `nnx.merge`.",
    "lessons/split-merge.md",
    SEED,
)
def classic_variable_survives_merge() -> None:
    model = Visited(nnx.Variable(array(0.0)))
    model(jnp.ones(4))
    expect(float(read(nnx.merge(*nnx.split(model)).count)), 1.0)


@claim(
    "classic-bias-is-trained-as-param",
    "A bias has to be an `nnx.Param` to be trained: as an `nnx.Variable` it stays what it was.",
    "lessons/multi-param.md#a-bias-that-is-a-variable",
    SEED,
)
def classic_bias_is_trained_as_param() -> None:
    models = [step(Layer(bias=wrapper), optax.sgd(0.01), times=5) for wrapper in (nnx.Param, nnx.Variable)]
    expect([bool(jnp.any(read(model.bias))) for model in models], [True, False])
