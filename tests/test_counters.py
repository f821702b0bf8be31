"""Buffers, the counter of calls, and the save and restore of what persists."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import Buffer, CallCounter, Linear, Scratch, persistent_state, restore_persistent

X = jnp.array([1.0, -2.0, 3.0, 0.5])


class Model(nnx.Module):
    """A module with a leaf of each kind: Param, Buffer, Scratch, BatchStat, random key and bare array."""

    def __init__(self, seed=0, features=2):
        rngs = nnx.Rngs(seed)
        self.counter = CallCounter(Linear(4, features, rngs=rngs))
        self.layers = nnx.List([nnx.BatchNorm(features, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)])
        self.last = Scratch(jnp.zeros(4))
        self.bare = jnp.zeros((), jnp.int32)

    def __call__(self, x):
        self.last[...] = x
        self.bare = self.bare + 1
        return self.counter(x)


def paths(state):
    return {".".join(map(str, path)) for path, _ in nnx.to_flat_state(state)}


def contents(state):
    """Return the numbers at each path, a random key as its bits."""
    numbers = {}
    for path, leaf in nnx.to_flat_state(state):
        array = leaf[...] if isinstance(leaf, nnx.Variable) else leaf
        is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
        numbers[path] = np.asarray(jax.random.key_data(array) if is_key else array)
    return numbers


PERSISTENT = {
    "bare",
    "counter.calls",
    "counter.layer.kernel",
    "layers.0.bias",
    "layers.0.mean",
    "layers.0.scale",
    "layers.0.var",
    "layers.1.rngs.count",
    "layers.1.rngs.key",
}


@pytest.mark.parametrize("transform", [lambda function: function, nnx.jit], ids=["eager", "nnx.jit"])
@given(calls=st.integers(0, 5))
def test_every_call_is_counted_and_compiled_once(transform, calls):
    model, traces = CallCounter(Linear(4, 2, rngs=nnx.Rngs(0))), []

    @transform
    def forward(model, x):
        traces.append("trace")
        return model(x)

    variable = model.calls
    for _ in range(calls):
        np.testing.assert_allclose(forward(model, X), model.layer(X), rtol=1e-6)
    assert model.calls is variable
    assert (type(variable), variable.shape, variable.dtype) == (Buffer, (), jnp.int32)
    assert not variable[...].weak_type
    assert variable[...] == calls
    assert len(traces) == (min(calls, 1) if transform is nnx.jit else calls)


def test_jax_jit_loses_the_count():
    model = CallCounter(Linear(4, 2, rngs=nnx.Rngs(0)))
    jax.jit(lambda model, x: model(x))(model, X)
    assert model.calls[...] == 0


def test_the_count_passes_2_to_the_24_and_wraps_after_2_to_the_31():
    model = CallCounter(jnp.tanh)
    for start, end in [(2**24, 2**24 + 1), (2**31 - 1, -(2**31))]:
        model.calls[...] = start
        model(1.0)
        assert model.calls[...] == end


def test_arguments_go_to_the_layer():
    model = CallCounter(lambda *args, **kwargs: (args, kwargs))
    assert model(1, 2, scale=3) == ((1, 2), {"scale": 3})


def test_a_layer_that_raises_has_been_called():
    model = CallCounter(Linear(4, 2, rngs=nnx.Rngs(0)))
    with pytest.raises(TypeError, match="dot_general"):
        model(jnp.ones(3))
    assert model.calls[...] == 1


def test_a_layer_that_cannot_be_called_is_refused():
    with pytest.raises(TypeError) as caught:
        CallCounter(3)
    assert str(caught.value) == (
        "layer must be callable, got 3 of type int: pass a module such as nnx.Linear(4, 2, rngs=nnx.Rngs(0))."
    )


def test_training_changes_neither_buffer_nor_scratch():
    model, traces = Model(), []
    optimizer = nnx.Optimizer(model, optax.adamw(0.1, weight_decay=0.1), wrt=nnx.Param)
    kernel = model.counter.layer.kernel[...]

    @nnx.jit
    def step(model, optimizer, x):
        traces.append("trace")
        grads = nnx.grad(lambda model: model(x).sum())(model)
        optimizer.update(model, grads)
        return grads

    with jax.numpy_dtype_promotion("standard"):  # Optax mixes a float with an int32
        for _ in range(3):
            grads = step(model, optimizer, X)
    assert paths(grads) == {"counter.layer.kernel", "layers.0.bias", "layers.0.scale"}
    assert len(traces) == 1
    assert (model.counter.calls[...], model.bare) == (3, 3)
    np.testing.assert_array_equal(model.last[...], X)
    assert (model.counter.layer.kernel[...] != kernel).all()


def test_filters_tell_the_types_apart():
    model = Model()
    assert paths(nnx.state(model, Buffer)) == {"counter.calls"}
    assert paths(nnx.state(model, Scratch)) == {"last"}
    assert not any(issubclass(left, right) for left, right in [(Buffer, nnx.Param), (Scratch, nnx.Param)])
    assert not issubclass(Buffer, Scratch)
    assert not issubclass(Scratch, Buffer)


def test_all_but_scratch_persists():
    model = Model()
    assert paths(persistent_state(model)) == PERSISTENT
    assert paths(nnx.state(model)) == PERSISTENT | {"last"}
    assert persistent_state(model)["counter"]["calls"] is model.counter.calls


def test_a_checkpoint_restores_all_but_scratch(tmp_path):
    model, fresh = Model(), Model(1)
    model(X)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", persistent_state(model))
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "state", persistent_state(fresh))
    restore_persistent(fresh, restored)
    np.testing.assert_equal(contents(persistent_state(fresh)), contents(persistent_state(model)))
    assert not fresh.last[...].any()


@pytest.mark.parametrize(
    "given_state",
    [persistent_state, lambda model: nnx.State(nnx.to_pure_dict(persistent_state(model)))],
    ids=["Variables", "arrays"],
)
def test_a_state_restores_without_tying_the_modules(given_state):
    model, fresh = Model(), Model(1)
    model(X)
    variable = fresh.counter.calls
    restore_persistent(fresh, given_state(model))
    assert fresh.counter.calls is variable
    assert type(variable) is Buffer
    fresh(X)
    assert (variable[...], model.counter.calls[...]) == (2, 1)


def test_an_abstract_module_is_filled():
    def build():
        return CallCounter(Linear(4, 2, rngs=nnx.Rngs(0)))

    model, fresh = build(), nnx.eval_shape(build)
    model(X)
    restore_persistent(fresh, persistent_state(model))
    np.testing.assert_equal(contents(nnx.state(fresh)), contents(nnx.state(model)))


def test_a_number_and_a_tree_in_a_buffer_are_restored():
    model, fresh = nnx.Module(), nnx.Module()
    model.number, fresh.number = Buffer(3), Buffer(0)
    model.tree, fresh.tree = Buffer({"a": jnp.ones(2)}), Buffer({"a": jnp.zeros(2)})
    restore_persistent(fresh, persistent_state(model))
    assert fresh.number.get_value() == 3
    assert (fresh.tree.get_value()["a"] == 1).all()


def changed(path, leaf):
    """Return the state of a model of which one leaf was replaced, or left out."""
    flat = dict(nnx.to_flat_state(persistent_state(Model())))
    flat[path] = leaf
    return nnx.from_flat_state([(path, leaf) for path, leaf in flat.items() if leaf is not None])


@pytest.mark.parametrize(
    ("state", "faults"),
    [
        (nnx.State({}), ", ".join(f"{path} is missing" for path in sorted(PERSISTENT))),
        (changed(("counter", "calls"), None), "counter.calls is missing"),
        (changed(("counter", "extra"), Buffer(X)), "counter.extra is unexpected"),
        (nnx.state(Model()), "last is unexpected"),
        (changed(("counter", "calls"), Buffer(jnp.zeros(()))), "counter.calls is float32[] instead of int32[]"),
        (changed(("counter", "calls"), jnp.zeros(3, jnp.int32)), "counter.calls is int32[3] instead of int32[]"),
        (changed(("bare",), 2.5), "bare is float32[] instead of int32[]"),
        (
            persistent_state(Model(features=1)),
            (
                "counter.layer.kernel is float32[4, 1] instead of float32[4, 2], "
                "layers.0.bias is float32[1] instead of float32[2], layers.0.mean is float32[1] instead of float32[2], "
                "layers.0.scale is float32[1] instead of float32[2], layers.0.var is float32[1] instead of float32[2]"
            ),
        ),
    ],
    ids=["empty", "missing", "unexpected", "Scratch", "dtype", "shape", "bare", "other model"],
)
def test_a_state_that_does_not_fit_changes_nothing(state, faults):
    model = Model(1)
    before = contents(nnx.state(model))
    with pytest.raises(ValueError, match="without its Scratch") as caught:
        restore_persistent(model, state)
    assert str(caught.value) == (
        f"the state must have the leaves of Model without its Scratch, got one where {faults}: "
        "build the model as the saved one was."
    )
    np.testing.assert_equal(contents(nnx.state(model)), before)


@pytest.mark.parametrize("state", [{}, None, [1]], ids=["dict", "None", "list"])
def test_what_is_not_a_state_is_refused(state):
    with pytest.raises(TypeError) as caught:
        restore_persistent(Model(), state)
    assert str(caught.value) == (
        f"state must be an nnx.State, got a {type(state).__name__}: "
        "pass what persistent_state returned, or wrap a nested dict of arrays in nnx.State(...)."
    )
