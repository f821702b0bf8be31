"""Batch normalisation with running averages, against Flax's own layer and a formula in float64."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import RunningNorm, persistent_state, snapshot, train_step, unchanged

ACCEPTED_FEATURES = "features must be an int from 1 to 2147483647, got "


def batch(seed, *shape, offset=5.0):
    return offset + 2.0 * jax.random.normal(jax.random.key(seed), shape)


def randomised(norm, seed):
    """Give scale and bias values that a swap or an omission would show."""
    keys = jax.random.split(jax.random.key(seed), 2)
    norm.scale[...] = jax.random.normal(keys[0], norm.scale.shape)
    norm.bias[...] = jax.random.normal(keys[1], norm.bias.shape)
    return norm


def averages(norm):
    return np.stack([norm.mean[...], norm.var[...]])


def close(left, right):
    """Compare outputs: a deviation near 0, by which they are divided, magnifies the rounding of the input."""
    np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-3)


shapes = st.sampled_from([(2, 3), (5, 1), (1, 2, 3)])  # few, since each compiles anew


@given(shapes, st.floats(0, 0.999), st.integers(0, 2**31))
def test_it_is_flaxs_layer_and_the_formula(shape, momentum, seed):
    features = shape[-1]
    own = randomised(RunningNorm(features, momentum), seed)
    flax = nnx.BatchNorm(features, momentum=momentum, use_fast_variance=False, rngs=nnx.Rngs(0))
    flax.scale[...], flax.bias[...] = own.scale[...], own.bias[...]
    scale, bias = (np.asarray(param[...], np.float64) for param in (own.scale, own.bias))
    mean, var = np.zeros(features), np.ones(features)
    for step in range(2):
        x = batch(seed + step, *shape, offset=1.0)
        numbers = np.asarray(x, np.float64).reshape(-1, features)
        mean = momentum * mean + (1 - momentum) * numbers.mean(0)
        var = momentum * var + (1 - momentum) * numbers.var(0)
        expected = (np.asarray(x) - numbers.mean(0)) / np.sqrt(numbers.var(0) + 1e-5) * scale + bias
        y = own(x)
        assert (y.shape, y.dtype, y.weak_type) == (x.shape, jnp.float32, False)
        close(y, expected)
        close(y, flax(x))
        np.testing.assert_allclose(averages(own), averages(flax), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(averages(own), [mean, var], rtol=1e-5, atol=1e-5)
    before = averages(own)
    y = nnx.view(own, use_running_average=True)(x)
    close(y, (np.asarray(x) - mean) / np.sqrt(var + 1e-5) * scale + bias)
    close(y, nnx.view(flax, use_running_average=True)(x))
    assert (averages(own) == before).all()


def test_the_variance_survives_a_large_mean_where_flaxs_default_does_not():
    x = batch(0, 64, 3, offset=1e4)
    own = RunningNorm(3, 0.0)
    slow, fast = (nnx.BatchNorm(3, momentum=0.0, use_fast_variance=fast, rngs=nnx.Rngs(0)) for fast in (False, True))
    own(x), slow(x), fast(x)
    expected = np.asarray(x, np.float64).var(0)
    np.testing.assert_allclose(own.var[...], expected, rtol=1e-3)
    np.testing.assert_allclose(slow.var[...], expected, rtol=1e-3)
    assert np.abs(fast.var[...] - expected).max() > 0.5


def test_the_defaults_are_those_of_flax():
    own, flax = RunningNorm(2), nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    for name in ("momentum", "epsilon", "axis_name", "use_running_average"):
        assert getattr(own, name) == getattr(flax, name)
    assert own.momentum == linen.BatchNorm().momentum == 0.99
    for kind in (nnx.Param, nnx.BatchStat):
        states = [jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(norm, kind))) for norm in (own, flax)]
        assert states[0].keys() == states[1].keys()
        assert all((states[0][name] == states[1][name]).all() for name in states[0])
    views = [inspect.signature(kind.set_view) for kind in (RunningNorm, nnx.BatchNorm)]
    assert [list(view.parameters) for view in views] == [["self", "use_running_average"]] * 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "uint8", "bool"])
def test_every_real_dtype_is_computed_in_float32(dtype):
    x = batch(0, 16, 2).astype(dtype)
    own, reference = RunningNorm(2), RunningNorm(2)
    y = own(x)
    assert y.dtype == jnp.float32
    assert (y == reference(x.astype(jnp.float32))).all()
    assert (averages(own) == averages(reference)).all()


def test_training_moves_the_averages_by_the_forward_pass_alone():
    model = nnx.Sequential(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), RunningNorm(2), nnx.Linear(2, 1, rngs=nnx.Rngs(1)))
    optimizer = nnx.Optimizer(model, optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.1)), wrt=nnx.Param)
    x = batch(0, 8, 3)
    reference = nnx.clone(model)
    before = nnx.clone(model)
    train_step(model, optimizer, lambda model, x: jnp.mean(model(x) ** 2), x)
    reference(x)
    assert unchanged(before, model, nnx.BatchStat) == []
    np.testing.assert_allclose(averages(model.layers[1]), averages(reference.layers[1]), rtol=1e-6)
    assert set(nnx.grad(lambda model: model(x).sum())(model)["layers"][1]) == {"bias", "scale"}


def test_the_gradient_goes_through_the_statistics_of_the_batch():
    x = batch(0, 8, 2)
    target = batch(1, 8, 2)
    own, flax = RunningNorm(2), nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    gradients = [jax.grad(lambda x, norm=norm: jnp.sum(nnx.clone(norm)(x) * target))(x) for norm in (own, flax)]
    np.testing.assert_allclose(*gradients, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("inner", [(), (4,)], ids=["one example", "a part of the batch"])
def test_a_named_axis_belongs_to_the_batch(inner):
    named, whole = RunningNorm(3, axis_name="batch"), RunningNorm(3)
    flax = nnx.BatchNorm(3, axis_name="batch", rngs=nnx.Rngs(0))
    each = nnx.vmap(lambda norm, x: norm(x), in_axes=(None, 0), axis_name="batch")
    x = batch(0, 8, *inner, 3)
    expected = whole(x)
    for norm in (named, flax):
        np.testing.assert_allclose(each(norm, x), expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(averages(norm), averages(whole), rtol=1e-5)
    view = nnx.view(named, use_running_average=True)
    np.testing.assert_allclose(view(x), nnx.view(whole, use_running_average=True)(x), rtol=1e-5)


def test_mapped_averages_belong_to_one_batch_each():
    norm = RunningNorm(3)
    norm.mean.set_value(jnp.zeros((2, 3)))
    norm.var.set_value(jnp.ones((2, 3)))
    axes = nnx.StateAxes({nnx.BatchStat: 0, ...: None})
    x = jnp.stack([batch(0, 8, 3), batch(1, 8, 3, offset=-5.0)])
    nnx.vmap(lambda norm, x: norm(x), in_axes=(axes, 0))(norm, x)
    for number in range(2):
        alone = RunningNorm(3)
        alone(x[number])
        np.testing.assert_allclose(averages(norm)[:, number], averages(alone), rtol=1e-5)


@pytest.mark.parametrize("call", [RunningNorm.eval, RunningNorm.train], ids=["eval", "train"])
def test_the_switch_is_where_flax_looks_for_it(call):
    model = nnx.Sequential(jnp.sin, RunningNorm(2), nnx.BatchNorm(2, rngs=nnx.Rngs(0)))
    call(model)
    own, flax = model.layers[1:]
    assert own.use_running_average == flax.use_running_average
    for switch in (True, False):
        view = nnx.view(model, use_running_average=switch)
        assert [layer.use_running_average for layer in view.layers[1:]] == [switch, switch]
        assert view.layers[1].mean is own.mean
    other = nnx.view(nnx.Sequential(own, nnx.Dropout(0.5)), deterministic=True)
    assert other.layers[0].use_running_average == own.use_running_average


def test_it_compiles_once_in_each_mode():
    norm, eager, traces = RunningNorm(2), RunningNorm(2), []

    @nnx.jit
    def call(norm, x):
        traces.append(norm.use_running_average)
        return norm(x)

    for _ in range(3):
        np.testing.assert_allclose(call(norm, batch(0, 4, 2)), eager(batch(0, 4, 2)), rtol=1e-5, atol=1e-5)
        call(nnx.view(norm, use_running_average=True), batch(0, 4, 2))
    assert traces == [False, True]
    np.testing.assert_allclose(averages(norm), averages(eager), rtol=1e-5)


def test_the_averages_are_saved_with_the_model():
    assert set(persistent_state(RunningNorm(2))) == {"scale", "bias", "mean", "var"}


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"features": 2.0}, TypeError, f"{ACCEPTED_FEATURES}2.0 of type float: pass a number such as 4."),
        ({"features": 0}, ValueError, f"{ACCEPTED_FEATURES}0: pass a number such as 4."),
        *(
            (
                {"features": 2, "momentum": momentum},
                ValueError,
                f"momentum must be from 0 on and below 1, got {momentum}: it is the share kept, 0.9 for PyTorch's 0.1.",
            )
            for momentum in (-0.1, 1, 1.0, float("nan"))
        ),
        *(
            (
                {"features": 2, "epsilon": epsilon},
                ValueError,
                f"epsilon must be above 0, got {epsilon}: pass a number such as 1e-5.",
            )
            for epsilon in (0, -1e-5, float("nan"))
        ),
    ],
)
def test_what_a_layer_cannot_be_made_of(arguments, kind, message):
    with pytest.raises(kind) as caught:
        RunningNorm(**arguments)
    assert str(caught.value) == message


LONELY = (
    "a batch to train on must have two examples at least, got one of shape {}: pass a whole batch, "
    "name the axis of a vmap with axis_name, or call eval() first."
)


@pytest.mark.parametrize("transform", [lambda function: function, nnx.jit], ids=["eager", "nnx.jit"])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((), "x must have shape (..., 2), got (): the features are the last axis."),
        ((2, 3), "x must have shape (..., 2), got (2, 3): the features are the last axis."),
        ((4, 1), "x must have shape (..., 2), got (4, 1): the features are the last axis."),
        ((2,), LONELY.format("(2,)")),
        ((1, 1, 2), LONELY.format("(1, 1, 2)")),
        ((0, 2), LONELY.format("(0, 2)")),
    ],
)
def test_what_it_cannot_train_on_changes_nothing(transform, shape, message):
    norm = RunningNorm(2)
    before = snapshot(norm)
    with pytest.raises(ValueError, match="got") as caught:
        transform(lambda norm, x: norm(x))(norm, jnp.ones(shape))
    assert str(caught.value) == message
    assert all((before[name][...] == nnx.state(norm)[name][...]).all() for name in before)


def test_one_example_can_be_evaluated():
    norm = RunningNorm(2)
    norm.eval()
    for shape in ((2,), (1, 2), (0, 2)):
        assert (norm(jnp.zeros(shape)) == 0.0).all()


def test_a_mapped_axis_of_one_example_is_no_batch():
    norm = RunningNorm(2, axis_name="batch")
    with pytest.raises(ValueError, match="two examples at least"):
        jax.vmap(norm, axis_name="batch")(jnp.ones((1, 2)))


def test_complex_numbers_are_refused():
    norm = RunningNorm(2)
    with pytest.raises(TypeError) as caught:
        norm(jnp.ones((4, 2), complex))
    assert str(caught.value) == "x must hold real numbers, got dtype complex64: pass x.real or x.imag."


def test_a_named_axis_must_be_there_in_training():
    norm = RunningNorm(2, axis_name="batch")
    with pytest.raises(NameError, match="unbound axis name: batch"):
        norm(jnp.ones((4, 2)))
    norm.eval()
    assert norm(jnp.ones((4, 2))).shape == (4, 2)
