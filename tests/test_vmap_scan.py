"""Ensembles whose members are models of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx_state import (
    MLP,
    CallCounter,
    Linear,
    Noise,
    RunningNorm,
    draws,
    ensemble,
    member,
    shared,
    train_step,
    unchanged,
)


class Block(nnx.Module):
    """State of many kinds: Params, BatchStats, keys, a counter, a bare array, a Variable that holds a tree, a tie."""

    def __init__(self, rngs):
        self.linear = CallCounter(Linear(4, 4, rngs=rngs))
        self.noise = Noise(0.1, rngs=rngs)
        self.norm = RunningNorm(4)
        self.bare = jnp.zeros((), jnp.int32)
        self.tree = nnx.Variable({"a": jnp.ones(2), "b": jnp.zeros((1, 1), jnp.int8)})
        self.tied = self.linear.layer.kernel

    def __call__(self, x):
        self.bare = self.bare + jnp.int32(1)
        return self.norm(self.noise(self.linear(x)))


def arrays(node):
    """Return the arrays of a module, in the order of the state; a random key gives the numbers inside."""
    leaves = jax.tree.leaves(nnx.state(node))
    return [jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf for leaf in leaves]


def assert_close(one, two, tolerance=1e-5):
    assert jax.tree.structure(nnx.state(one)) == jax.tree.structure(nnx.state(two))
    for left, right in zip(arrays(one), arrays(two), strict=True):
        np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


def call(model, x):
    return model(x)


def inputs(*shape):
    return jax.random.normal(jax.random.key(1), shape)


@settings(max_examples=5)
@given(st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_a_member_is_what_make_builds_from_its_key(size, seed):
    rngs = nnx.Rngs(seed)
    models = ensemble(Block, size, rngs=rngs)
    assert draws(rngs) == {"default": 1}
    assert {array.shape[0] for array in arrays(models)} == {size}
    for index, key in enumerate(jax.random.split(nnx.Rngs(seed)(), size)):
        assert_close(member(models, index), Block(nnx.Rngs(key)), 0.0)


def test_every_stream_is_split():
    rngs = nnx.Rngs(params=0, noise=1)
    models = ensemble(Block, 2, rngs=rngs)
    assert draws(rngs) == {"noise": 1, "params": 1}
    params, noise = (jax.random.split(nnx.Rngs(seed)(), 2)[1] for seed in (0, 1))
    assert_close(member(models, 1), Block(nnx.Rngs(params=params, noise=noise)), 0.0)


def test_two_ensembles_of_the_same_rngs_differ():
    rngs = nnx.Rngs(0)
    one, two = (ensemble(Block, 2, rngs=rngs) for _ in range(2))
    assert not jnp.any(one.tied[...] == two.tied[...])


def test_members_called_together_do_what_they_do_alone():
    models = ensemble(Block, 3, rngs=nnx.Rngs(0))
    alone = [member(models, index) for index in range(3)]
    x = inputs(3, 5, 4)
    for _ in range(2):
        together = nnx.vmap(call)(models, x)
        for index, model in enumerate(alone):
            np.testing.assert_allclose(together[index], model(x[index]), rtol=1e-5, atol=1e-5)
    for index, model in enumerate(alone):
        assert_close(model, member(models, index))


def test_members_trained_together_are_those_trained_alone():
    def loss_fn(model, x):
        return jnp.mean((model(x) - jnp.sin(x.sum(axis=1, keepdims=True))) ** 2)

    def optimizer_of(model):
        return nnx.Optimizer(model, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)

    models = ensemble(lambda rngs: MLP(4, 8, 1, rngs=rngs), 3, rngs=nnx.Rngs(0))
    alone = [member(models, index) for index in range(3)]
    before, optimizers, x = nnx.clone(models), nnx.vmap(optimizer_of)(models), inputs(16, 4)
    step = nnx.jit(nnx.vmap(lambda model, optimizer, x: train_step(model, optimizer, loss_fn, x), in_axes=(0, 0, None)))
    for _ in range(10):
        step(models, optimizers, x)
    assert unchanged(before, models) == []
    for index, model in enumerate(alone):
        optimizer = optimizer_of(model)
        for _ in range(10):
            train_step(model, optimizer, loss_fn, x)
        assert_close(model, member(models, index))
        assert_close(optimizer, member(optimizers, index))


def test_a_member_is_a_copy_that_keeps_types_ties_and_switches():
    models = ensemble(Block, 2, rngs=nnx.Rngs(0))
    models.eval()
    model = member(models, 0)
    assert type(model) is Block
    assert model.tied is model.linear.layer.kernel
    assert model.norm.use_running_average
    assert model.noise.deterministic
    assert [type(leaf) for _, leaf in nnx.to_flat_state(nnx.state(model))] == [
        type(leaf) for _, leaf in nnx.to_flat_state(nnx.state(models))
    ]
    assert shared(model, models) == shared(model, models, buffers=True) == []
    before = arrays(models)
    model.tied[...] = jnp.zeros((4, 4))
    assert all(map(np.array_equal, before, arrays(models)))


@pytest.mark.parametrize("index", [-3, -1, np.int64(1), 1.0, jnp.array(2)])
def test_an_index_counts_as_that_of_a_list(index):
    models = ensemble(Block, 3, rngs=nnx.Rngs(0))
    assert_close(member(models, index), member(models, list(range(3))[int(index)]), 0.0)


def test_member_runs_under_jit():
    models = ensemble(Block, 3, rngs=nnx.Rngs(0))
    assert_close(nnx.jit(lambda models: member(models, -1))(models), member(models, 2), 0.0)


INDEX = "index must be a whole number from -3 to 2, as an int or a float"


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (3, ValueError, f"{INDEX}, got 3: choose one in this range."),
        (-4, ValueError, f"{INDEX}, got -4: choose one in this range."),
        (True, TypeError, f"{INDEX}, got True of type bool: pass a number such as 2.0."),
        (None, TypeError, f"{INDEX}, got None of type NoneType: pass a number such as 2.0."),
    ],
)
def test_an_index_out_of_place_is_refused(index, error, message):
    models = ensemble(Block, 3, rngs=nnx.Rngs(0))
    with pytest.raises(error) as caught:
        member(models, index)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("models", "found"),
    [
        (nnx.Dict(a=nnx.Param(jnp.ones(3)), b=jnp.ones(2)), "a float32[3], b float32[2]"),
        (nnx.Dict(a=nnx.Param(jnp.ones((3, 2))), b=jnp.ones(())), "a float32[3, 2], b float32[]"),
        (nnx.Dict(a=nnx.data(1.0)), "a float32[]"),
        (nnx.Dict(a=1.0), "no leaf"),
    ],
)
def test_a_module_without_members_is_refused(models, found):
    with pytest.raises(ValueError, match="every leaf of models") as caught:
        member(models, 0)
    assert str(caught.value) == (
        f"every leaf of models must have the members on its first axis, got {found}: build it with ensemble."
    )


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (-1, ValueError), (True, TypeError), (2.0, TypeError)])
def test_a_size_is_an_int_from_one(size, error):
    rngs = nnx.Rngs(0)
    with pytest.raises(error, match="size must be an int from 1 to 2147483647, got "):
        ensemble(Block, size, rngs=rngs)
    assert draws(rngs) == {"default": 0}


@pytest.mark.parametrize("rngs", [0, jax.random.key(0), None])
def test_a_seed_is_not_enough(rngs):
    with pytest.raises(TypeError, match=r"rngs must be an nnx.Rngs, got .*: pass nnx.Rngs\(0\)\."):
        ensemble(Block, 2, rngs=rngs)


@pytest.mark.parametrize("made", [3, (1, 2), jnp.ones(2)])
def test_make_returns_a_module(made):
    with pytest.raises(TypeError, match="make must return a module, got "):
        ensemble(lambda rngs: made, 2, rngs=nnx.Rngs(0))


def test_make_may_have_defaults():
    def make(rngs, outputs=3, use_bias=True):
        return nnx.Linear(4, outputs, use_bias=use_bias, rngs=rngs)

    assert ensemble(make, 2, rngs=nnx.Rngs(0)).bias.shape == (2, 3)


class Closure(nnx.Module):
    def __init__(self, rngs):
        kernel = nnx.Param(rngs.normal((4, 4)))
        self.function = lambda x: x @ kernel[...]


def test_state_that_would_leak_is_refused():
    with pytest.raises(ValueError, match="make must keep") as caught:
        ensemble(Closure, 2, rngs=nnx.Rngs(0))
    assert str(caught.value) == (
        "make must keep its arrays in the state, got Closure with function.kernel outside: "
        "wrap them in an nnx.Variable, or set them with nnx.data."
    )
