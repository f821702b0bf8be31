"""Arrays made under a trace: what a model keeps of them that `nnx.eval_shape` or a jit has built."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from flax import nnx

from nnx_state.claims.compat import NO_ARRAYS, Layer, Tracer, names, numbers, read
from nnx_state.claims.registry import NotApplicable, claim, differs, expect

PAGE = "lessons/containers.md#a-module-made-under-a-trace"
ALL = ["bias", "count", "kernel"]
GUIDE = "a guide of Flax"


def plain() -> Layer:
    """Return a Layer whose count is an array without a wrapper."""
    return Layer(count=jnp.zeros(()))


def marked() -> Layer:
    """Return a Layer whose count is an array that is marked as data."""
    return Layer(count=nnx.data(jnp.zeros(())))


def built(transform: Callable[..., Any], make: Callable[[], Layer] = Layer) -> Any:
    """Return the model that a function builds under a transform; say so where nothing is traced."""
    traced: list[bool] = []

    def build() -> Layer:
        model = make()
        traced.append(isinstance(read(model.kernel), Tracer))
        return model

    model = transform(build)()
    expect(traced != [] and all(traced), True)
    return model


def abstract(make: Callable[[], Layer] = Layer) -> Any:
    """Return the model of shapes that `nnx.eval_shape` builds."""
    return built(lambda build: lambda: nnx.eval_shape(build), make)


def made(model: Any) -> None:
    """Go on where a model that a trace has made holds its count, as an array and in its state."""
    if isinstance(model.count, Tracer):
        differs(f"a tracer has leaked into count, and the state is {names(model)}")
    expect(names(model), ALL)


def restored(make: Callable[[], Layer]) -> None:
    """Save a model with Orbax and restore it into the state of a model of shapes."""
    target = nnx.state(abstract(make))
    with tempfile.TemporaryDirectory() as folder, ocp.StandardCheckpointer() as checkpointer:
        path, model = Path(folder) / "state", make()
        checkpointer.save(path, nnx.state(model))
        if hasattr(checkpointer, "wait_until_finished"):
            checkpointer.wait_until_finished()
        try:
            state = checkpointer.restore(path, target)
        except ValueError as error:
            if "do not match" not in str(error):
                raise
            differs(f"the tree structures do not match: the checkpoint has {names(model)}, the target {names(target)}")
    expect(numbers(state) == numbers(model), True)


@claim(
    "is-data-under-a-trace",
    "`nnx.is_data` is true of an array under a trace, as it is of an array.",
    PAGE,
)
def is_data_under_a_trace() -> None:
    asked: list[tuple[bool, bool]] = []
    jax.jit(lambda x: asked.append((isinstance(x, Tracer), bool(nnx.is_data(x)))))(jnp.zeros(2))
    if asked == [(True, False)]:
        differs("it is False of an array under a trace")
    expect(asked, [(True, True)])


@claim(
    "eval-shape-keeps-a-plain-array",
    "`nnx.eval_shape` keeps a plain array of the model that it builds in the state.",
    PAGE,
    instead=(NO_ARRAYS, "Expected a leaf for"),
)
def eval_shape_keeps_a_plain_array() -> None:
    expect(names(abstract(plain)), ALL)


@claim(
    "eval-shape-keeps-a-variable",
    "`nnx.eval_shape` keeps every Variable of the model that it builds in the state.",
    PAGE,
    GUIDE,
)
def eval_shape_keeps_a_variable() -> None:
    expect(names(abstract()), ALL)


@claim(
    "jit-makes-a-plain-array",
    "A model that is built under `nnx.jit` comes back with its plain arrays, as a part of the state.",
    PAGE,
    instead=NO_ARRAYS,
)
def jit_makes_a_plain_array() -> None:
    made(built(nnx.jit, plain))


@claim(
    "jit-makes-a-variable",
    "A model that is built under `nnx.jit` comes back with its Variables, as a part of the state.",
    PAGE,
    GUIDE,
)
def jit_makes_a_variable() -> None:
    model = built(nnx.jit)
    expect(names(model), ALL)
    expect(numbers(model)["count"], 0.0)


@claim(
    "jax-jit-makes-a-plain-array",
    "A model that is built under `jax.jit` comes back with its plain arrays, as a part of the state.",
    PAGE,
)
def jax_jit_makes_a_plain_array() -> None:
    if len(jax.tree.leaves(Layer())) == 1:
        raise NotApplicable("a module is no JAX pytree")
    made(built(jax.jit, plain))


@claim(
    "restore-a-plain-array-by-shape",
    "A checkpoint of a model with a plain array is restored into the state of `nnx.eval_shape`.",
    PAGE,
    instead=(NO_ARRAYS, "Expected a leaf for"),
)
def restore_a_plain_array_by_shape() -> None:
    restored(plain)


@claim(
    "restore-a-variable-by-shape",
    "A checkpoint of a model whose values are Variables is restored into the state of `nnx.eval_shape`.",
    "lessons/checkpoints.md",
    GUIDE,
)
def restore_a_variable_by_shape() -> None:
    restored(Layer)


@claim(
    "data-survives-eval-shape",
    "`nnx.data(array)` keeps an array in the state of a model that `nnx.eval_shape` builds.",
    PAGE,
)
def data_survives_eval_shape() -> None:
    expect(names(abstract(marked)), ALL)


@claim(
    "data-survives-jit",
    "`nnx.data(array)` keeps an array in the state of a model that is built under `nnx.jit`.",
    PAGE,
)
def data_survives_jit() -> None:
    made(built(nnx.jit, marked))


@claim(
    "restore-data-by-shape",
    "A checkpoint of a model with `nnx.data(array)` is restored into the state of `nnx.eval_shape`.",
    PAGE,
)
def restore_data_by_shape() -> None:
    restored(marked)


@claim(
    "list-made-under-a-trace",
    "An array in an `nnx.List` that is made under `nnx.eval_shape` is a part of the state.",
    PAGE,
    instead="Expected a leaf for",
)
def list_made_under_a_trace() -> None:
    model = abstract(lambda: Layer(count=nnx.List([jnp.zeros(())])))
    expect(names(model), ["bias", "count.0", "kernel"])
