"""Snapshots that stay, restores that write all or nothing, and what two models share."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import MultiParam, restore, shared, snapshot

PATHS = [
    "layers.0.bias",
    "layers.0.count",
    "layers.0.kernel",
    "plain",
    "rngs.default.count",
    "rngs.default.key",
    "tree",
]
FILTERS = [nnx.Param, nnx.RngState, nnx.Not(nnx.Param), nnx.PathContains("tree"), ..., nnx.Nothing()]


class Deep(nnx.Module):
    """A list of layers, random keys, a bare array, a Variable that holds a tree, and a tie."""

    def __init__(self):
        self.layers = nnx.List([MultiParam(4, 2, nnx.Rngs(0))])
        self.rngs = nnx.Rngs(0)
        self.plain = jnp.arange(3)
        self.tree = nnx.Variable({"a": jnp.ones(2), "b": jnp.zeros((1, 1), jnp.int8)})
        self.zied = self.layers[0].bias


def bits(node):
    """Return type, dtype, shape and bytes of each leaf, by path."""
    found = {}
    for path, leaf in nnx.to_flat_state(node if isinstance(node, nnx.State) else nnx.state(node)):
        arrays = [
            jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in jax.tree.leaves(leaf)
        ]
        found[path] = [type(leaf), *((x.dtype, x.shape, x.weak_type, np.asarray(x).tobytes()) for x in arrays)]
    return found


def spoil(model):
    """Change every leaf of a Deep model in place."""
    layer = model.layers[0]
    for variable in (layer.kernel, layer.bias, layer.count):
        variable[...] = variable[...] + 1.0
    model.rngs.default()
    model.rngs.default.key[...] = jax.random.key(9)
    model.plain = model.plain + 1
    model.tree.set_value(jax.tree.map(lambda x: x + jnp.ones_like(x), model.tree.get_value()))


@given(st.lists(st.sampled_from(FILTERS), max_size=3))
def test_a_snapshot_stays_and_a_restore_touches_its_leaves_alone(filters):
    model = Deep()
    before, variables = bits(model), shared(model, model)
    saved = snapshot(model, *filters)
    taken = bits(saved)
    expected = nnx.state(model, nnx.Any(*filters) if filters else ...)
    assert taken == bits(expected)
    assert shared(model, saved) == shared(model, saved, buffers=True) == []
    spoil(model)
    spoilt = bits(model)
    assert all(spoilt[path] != before[path] for path in before)
    assert bits(saved) == taken
    old = nnx.state(model)
    restore(model, saved)
    assert bits(model) == spoilt | taken
    assert shared(model, old) == variables
    assert shared(model, saved) == shared(model, saved, buffers=True) == []
    assert model.zied is model.layers[0].bias


def test_a_snapshot_survives_training_and_donation():
    model = MultiParam(4, 2, nnx.Rngs(0))
    saved = snapshot(model)
    taken = bits(saved)
    optimizer = nnx.Optimizer(model, optax.sgd(0.5), wrt=nnx.Param)
    optimizer.update(model, nnx.grad(lambda model: model(jnp.ones(4)).sum())(model))
    assert bits(model) != taken
    donate = jax.jit(lambda state: jax.tree.map(jnp.negative, state), donate_argnums=0)
    for _ in range(2):
        restore(model, saved)
        assert bits(model) == taken
        donate(nnx.state(model))
        assert model.kernel[...].is_deleted()
    assert bits(saved) == taken


def test_bare_arrays_can_be_restored():
    model = Deep()
    before = bits(model)
    saved = nnx.as_pure(snapshot(model, nnx.Not(nnx.PathContains("tree"))))
    spoil(model)
    spoilt = bits(model)
    restore(model, saved)
    assert bits(model) == before | {("tree",): spoilt[("tree",)]}


def test_both_run_under_nnx_jit():
    model = MultiParam(4, 2, nnx.Rngs(0))
    before = bits(model)

    @nnx.jit
    def attempt(model):
        saved = snapshot(model, nnx.Param)
        model.kernel[...] = model.kernel[...] * 2.0
        model.count[...] = model.count[...] + 1.0
        changed = jnp.any(saved["kernel"][...] != model.kernel[...])
        restore(model, saved)
        return changed, jnp.array(len(shared(model, saved)))

    changed, number = attempt(model)
    assert changed
    assert number == 0
    assert bits(model)[("kernel",)] == before[("kernel",)]
    assert model.count[...] == 1.0


ACCEPTED = "saved must have the paths, types, shapes and dtypes of the model, got: "
REMEDY = ". Nothing was written: build the model as it was when the snapshot was taken."


@pytest.mark.parametrize(
    ("key", "leaf", "misfit"),
    [
        ("bias", nnx.Param(jnp.ones(3)), "bias is Param float32[3] in saved, Param float32[2] in the model"),
        ("bias", jnp.ones((1, 2)), "bias is array float32[1, 2] in saved, Param float32[2] in the model"),
        ("bias", jnp.ones(2, jnp.int32), "bias is array int32[2] in saved, Param float32[2] in the model"),
        ("bias", nnx.Variable(jnp.ones(2)), "bias is Variable float32[2] in saved, Param float32[2] in the model"),
        ("count", nnx.Param(jnp.ones(())), "count is Param float32[] in saved, Variable float32[] in the model"),
        ("cuont", jnp.ones(()), "cuont is not in the model"),
        ("plain", nnx.Param(jnp.ones(())), "plain is Param float32[] in saved, array float32[] in the model"),
    ],
)
def test_a_snapshot_that_does_not_fit_is_refused_whole(key, leaf, misfit):
    model = MultiParam(4, 2, nnx.Rngs(0))
    model.plain = jnp.ones(())
    before = bits(model)
    saved = snapshot(model)
    saved["kernel"][...] = jnp.zeros((4, 2))
    saved[key] = leaf
    with pytest.raises(ValueError, match="Nothing was written") as caught:
        restore(model, saved)
    assert str(caught.value) == ACCEPTED + misfit + REMEDY
    assert bits(model) == before


def test_every_misfit_is_named():
    model = MultiParam(4, 2, nnx.Rngs(0))
    with pytest.raises(ValueError, match="Nothing was written") as caught:
        restore(model, nnx.State({"a": jnp.ones(1), "b": {"c": jnp.ones(1)}}))
    assert str(caught.value) == f"{ACCEPTED}a is not in the model; b.c is not in the model{REMEDY}"


@pytest.mark.parametrize(
    ("saved", "name", "remedy"),
    [
        ({"bias": 1}, "dict", "wrap it in nnx.State(...), which takes a nested dict of arrays"),
        (None, "NoneType", "pass the model first, then what snapshot returned"),
    ],
)
def test_a_snapshot_must_be_a_state(saved, name, remedy):
    with pytest.raises(TypeError) as caught:
        restore(MultiParam(4, 2, nnx.Rngs(0)), saved)
    assert str(caught.value) == f"saved must be an nnx.State, got {name}: {remedy}."


def test_a_dict_that_is_wrapped_as_the_error_says_is_restored():
    model, saved = MultiParam(4, 2, nnx.Rngs(0)), MultiParam(4, 2, nnx.Rngs(1))
    restore(model, nnx.State(nnx.to_pure_dict(nnx.state(saved))))
    assert bits(model) == bits(saved)


@pytest.mark.parametrize(
    ("call", "variables", "buffers"),
    [
        (nnx.state, True, True),
        (copy.copy, True, True),
        (nnx.clone, False, True),
        (lambda model: nnx.as_pure(nnx.state(model)), False, True),
        (lambda model: nnx.clone(model, arrays=True), False, False),
        (snapshot, False, False),
    ],
)
def test_shared_names_the_paths(call, variables, buffers):
    model = Deep()
    other = call(model)
    named = [path for path in PATHS if path != "plain"]  # a bare array has no Variable
    assert shared(model, other) == (named if variables else [])
    assert shared(model, other, buffers=True) == (PATHS if buffers else [])


def test_shared_compares_across_paths():
    left, right = MultiParam(4, 2, nnx.Rngs(0)), MultiParam(4, 2, nnx.Rngs(0))
    right.other = left.kernel
    assert shared(left, right) == shared(left, right, buffers=True) == ["kernel"]
    assert shared(right, left) == shared(right, left, buffers=True) == ["other"]


@pytest.mark.parametrize("traced_first", [True, False])
def test_traced_arrays_have_no_buffer(traced_first):
    model = MultiParam(4, 2, nnx.Rngs(0))

    def compare(traced):
        return shared(traced, model, buffers=True) if traced_first else shared(model, traced, buffers=True)

    with pytest.raises(TypeError) as caught:
        nnx.jit(compare)(nnx.clone(model))
    assert str(caught.value) == (
        "buffers can be compared of jax.Arrays with values, got DynamicJaxprTracer at bias: "
        "call shared outside of traced functions."
    )
