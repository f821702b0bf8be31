"""Checkpoints: what Orbax and `nnx.update` bring back, and what they let pass."""

import tempfile
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
from flax import nnx

from nnx_state.claims.compat import Layer, grad, loss, numbers, optimizer, read, update, write
from nnx_state.claims.registry import NotApplicable, claim, differs, expect, raises

GUIDE = "a guide of Flax"
ISSUE = "an issue of Flax"
# What Orbax says where the target has another leaf than the checkpoint, today and before.
ANOTHER = ("tree structures do not match", "Dict key mismatch")


class Holder(nnx.Module):
    """A model with one Variable and nothing else."""

    def __init__(self, count: Any) -> None:
        self.count = count


def through_a_file(state: Any, target: Any = None, meanwhile: Callable[[], None] | None = None) -> Any:
    """Save a state with Orbax, and return what it restores into a target."""
    with tempfile.TemporaryDirectory() as folder:
        checkpointer = ocp.StandardCheckpointer()
        checkpointer.save(f"{folder}/state", state)
        if meanwhile is not None:
            meanwhile()
        getattr(checkpointer, "wait_until_finished", lambda: None)()  # older releases wait in `save`
        restored = checkpointer.restore(f"{folder}/state", target)
        checkpointer.close()
    return restored


def counter(number: Any) -> Any:
    return nnx.Variable(jnp.array(number))


def train(model: Any, trained: Any, steps: int) -> None:
    for _ in range(steps):
        update(trained, model, grad(loss, model))


@claim(
    "whole-state-resumes",
    "A run whose model and optimizer state were saved and restored goes on exactly as one that never stopped.",
    "lessons/checkpoints.md#run",
    GUIDE,
)
def whole_state_resumes() -> None:
    runs = []
    for _ in range(2):
        model = Layer()
        runs.append((model, optimizer(model, optax.adam(0.1))))
    fresh = numbers(runs[0][0])
    train(*runs[0], 3)
    saved, target = ({"model": nnx.state(model), "optimizer": nnx.state(trained)} for model, trained in runs)
    restored = through_a_file(saved, target)
    expect(restored["model"] is saved["model"], False)
    merged = [nnx.merge(nnx.split(node)[0], restored[name]) for node, name in zip(runs[1], restored, strict=True)]
    resumed = getattr(merged[1], "model", merged[0])  # an older optimizer holds its model
    paused = numbers(resumed)
    train(*runs[0], 3)
    train(resumed, merged[1], 3)
    expect(len({str(state) for state in (fresh, paused, numbers(resumed))}), 3)
    expect(numbers(resumed) == numbers(runs[0][0]), True)


@claim(
    "params-are-enough",
    "A checkpoint of the Params is enough: the restored model evaluates as the saved one did.",
    "lessons/checkpoints.md#a-part-of-the-state-is-forgotten",
)
def params_are_enough() -> None:
    saved, fresh = (nnx.BatchNorm(2, momentum=0.5, rngs=nnx.Rngs(0)) for _ in range(2))
    write(saved.scale, jnp.full(2, 2.0))
    batch: Any = jnp.array([[4.0, 4.0], [6.0, 6.0]])
    saved(batch)
    params = nnx.state(saved, nnx.Param)
    restored = through_a_file(params, nnx.state(fresh, nnx.Param))
    expect(restored is params, False)
    nnx.update(fresh, restored)
    expect(read(fresh.scale).tolist(), [2.0, 2.0])
    outputs = []
    for layer in (saved, fresh):
        layer.use_running_average = True
        outputs.append(round(float(layer(batch)[0, 0]), 1))
    if outputs[0] != outputs[1]:
        differs(f"without the BatchStats an output of {outputs[0]} is {outputs[1]}")


@claim(
    "orbax-saves-keys",
    "Orbax saves the keys of random streams with the rest of the state, and brings them back as keys.",
    "lessons/checkpoints.md#see",
    ISSUE,
)
def orbax_saves_keys() -> None:
    saved, fresh = nnx.Rngs(7), nnx.Rngs(0)
    state = nnx.state(saved)
    try:
        restored = through_a_file(state, nnx.state(fresh))
    except (TypeError, ValueError) as error:
        differs(f"Orbax {ocp.__version__} refuses a key with a {type(error).__name__}")
    expect(restored is state, False)
    nnx.update(fresh, restored)
    expect(jax.random.key_data(fresh.params()).tolist() == jax.random.key_data(saved.params()).tolist(), True)


@claim(
    "abstract-model-is-a-target",
    "`nnx.eval_shape(Model)` builds a model whose Variables hold a `jax.ShapeDtypeStruct` in the place of an array.",
    "lessons/checkpoints.md#see",
    GUIDE,
)
def abstract_model_is_a_target() -> None:
    model = nnx.eval_shape(Layer)
    kinds = {type(read(leaf)).__name__ for leaf in (model.kernel, model.bias, model.count)}
    expect(kinds, {"ShapeDtypeStruct"})


@claim(
    "restore-into-an-abstract-model",
    "Orbax restores into the state of an abstract model, and `nnx.update` puts the arrays into it.",
    "lessons/checkpoints.md#see",
    GUIDE,
)
def restore_into_an_abstract_model() -> None:
    saved, fresh = Layer(count=counter(7.0)), nnx.eval_shape(Layer)
    state = nnx.state(saved)
    restored = through_a_file(state, nnx.state(fresh))
    expect(restored is state, False)
    nnx.update(fresh, restored)
    expect(isinstance(read(fresh.count), jax.Array), True)
    expect(numbers(fresh) == numbers(saved), True)


@claim(
    "new-variable-breaks-the-restore",
    "Orbax refuses to restore into a model that has gained a Variable since the save.",
    "lessons/checkpoints.md#the-model-has-changed-since-the-save",
    ISSUE,
)
def new_variable_breaks_the_restore() -> None:
    model: Any = Layer()
    model.scale = nnx.Param(jnp.ones(()))
    raises(lambda: through_a_file(nnx.state(Layer()), nnx.state(model)), ValueError, ANOTHER)


@claim(
    "restore-without-a-target",
    "Without a target Orbax returns the state that was saved, with its Variables.",
    "lessons/sharding.md#calls-that-raise",
)
def restore_without_a_target() -> None:
    restored = through_a_file(nnx.state(Layer()))
    if isinstance(restored, dict):
        differs(f"it returns a dict of dicts, with the count under `['count']['{next(iter(restored['count']))}']`")
    expect(type(restored).__name__, "State")


@claim(
    "orbax-knows-the-types",
    "Orbax refuses to restore a plain Variable into a Param.",
    "lessons/checkpoints.md#a-variable-has-another-type",
)
def orbax_knows_the_types() -> None:
    fresh = Holder(nnx.Param(jnp.array(0.0)))
    try:
        restored = through_a_file(nnx.state(Holder(counter(3.0))), nnx.state(fresh))
    except (TypeError, ValueError):
        return
    held = restored["count"]
    kind = getattr(held, "type", type(held))  # a state of Flax 0.8 to 0.11 holds a VariableState of a type
    differs(f"nothing is raised: the {kind.__name__} holds {numbers(restored)['count']}")


@claim(
    "orbax-keeps-the-dtype",
    "Orbax refuses to restore a number into a Variable of another dtype.",
    "lessons/checkpoints.md#a-variable-has-another-type",
)
def orbax_keeps_the_dtype() -> None:
    try:
        restored = through_a_file(nnx.state(Holder(counter(3))), nnx.state(Holder(counter(False))))
    except (TypeError, ValueError):
        return
    differs(f"nothing is raised: a count of 3 is now {numbers(restored)['count']}")


@claim(
    "orbax-keeps-the-shape",
    "Orbax refuses to restore an array into a Variable of another shape.",
    "lessons/checkpoints.md#a-variable-has-another-type",
)
def orbax_keeps_the_shape() -> None:
    seen = []
    for fresh in ([0.0], [0.0, 0.0, 0.0]):
        state, target = nnx.state(Holder(counter([3.0, 4.0]))), nnx.state(Holder(counter(fresh)))
        expect([numbers(state), numbers(target)], [{"count": [3.0, 4.0]}, {"count": fresh}])
        try:
            restored = through_a_file(state, target)
        except ValueError:
            continue
        seen.append(f"{numbers(restored)['count']}")
    if seen:
        differs(f"nothing is raised: [3.0, 4.0] is now {' or '.join(seen)}")


@claim(
    "save-holds-what-it-got",
    "A save in the background holds what it was given, even if the Variable is written before it ends.",
    "reference/checkpoints.md#a-save-in-the-background",
)
def save_holds_what_it_got() -> None:
    if not hasattr(ocp.StandardCheckpointer, "wait_until_finished"):
        raise NotApplicable(f"Orbax {ocp.__version__} saves before it returns")
    model = Holder(counter(1.0))
    restored = through_a_file(nnx.state(model), nnx.state(Holder(counter(0.0))), lambda: write(model.count, 2.0))
    expect([numbers(restored), numbers(model)], [{"count": 1.0}, {"count": 2.0}])
