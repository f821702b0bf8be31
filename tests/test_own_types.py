"""Averages in a type of their own: the formula, the types, the copies, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import EMA, Buffer, EmaWeight, TraceCounter, paths, shared, snapshot


class Positive(nnx.Param):
    """Reads the exponential of what it stores."""

    def get_value(self, **kwargs):
        return jnp.exp(super().get_value(**kwargs))

    def set_value(self, value, **kwargs):
        super().set_value(jnp.log(value), **kwargs)


class Deep(nnx.Module):
    """A list of layers, a tie, statistics, random keys, a bare array and an integer."""

    def __init__(self):
        self.layers = nnx.List([nnx.Linear(4, 3, rngs=nnx.Rngs(0)), nnx.BatchNorm(3, rngs=nnx.Rngs(0))])
        self.tied = self.layers[0].kernel
        self.rate = Positive(jnp.zeros(2))
        self.rngs = nnx.Rngs(0)
        self.plain = jnp.ones(2)
        self.count = nnx.Variable(jnp.zeros((), jnp.int32))


WEIGHTS = ["layers.0.bias", "layers.0.kernel", "layers.1.bias", "layers.1.scale", "rate"]
NUMBERS = st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=8)
DECAYS = st.floats(0, 0.9999)


def values(node):
    """Return the raw numbers of each Variable, by path."""
    state = node if isinstance(node, nnx.State) else nnx.state(node, nnx.Param)
    return {path: np.asarray(leaf.get_raw_value()) for path, leaf in nnx.to_flat_state(state)}


def run(numbers, decay, **options):
    """Average a scalar that starts as the first number and takes the others one after the other."""
    model = nnx.Dict(weight=nnx.Param(jnp.float32(numbers[0])))
    ema = EMA(model, decay, **options)
    for number in numbers[1:]:
        model.weight[...] = jnp.float32(number)
        ema.update(model)
    return ema, model


@given(NUMBERS, DECAYS)
def test_without_debias_the_start_keeps_a_share(numbers, decay):
    ema, _ = run(numbers, decay, debias=False)
    shares = (1 - decay) * decay ** np.arange(len(numbers) - 1)[::-1]
    expected = decay ** (len(numbers) - 1) * numbers[0] + np.sum(shares * numbers[1:])
    assert ema.seen[...] == 1
    np.testing.assert_allclose(ema.averages["weight"][...], expected, atol=1e-4)


@given(NUMBERS, DECAYS)
def test_with_debias_the_start_has_no_share(numbers, decay):
    ema, _ = run(numbers, decay)
    shares = decay ** np.arange(len(numbers) - 1)[::-1]
    np.testing.assert_allclose(ema.averages["weight"][...], np.average(numbers[1:], weights=shares), atol=1e-4)
    np.testing.assert_allclose(ema.seen[...], 1 - decay ** (len(numbers) - 1), atol=1e-6)


@given(NUMBERS, DECAYS)
def test_it_agrees_with_flax_and_optax(numbers, decay):
    model = nnx.Dict(weight=nnx.Param(jnp.float32(numbers[0])))
    ours, debiased, theirs = EMA(model, decay, debias=False), EMA(model, decay), nnx.EMA(model, decay)
    average, optax_ema = model.weight[...], optax.ema(decay)
    memory = optax_ema.init(average)
    for number in numbers[1:]:
        model.weight[...] = jnp.float32(number)
        for ema in (ours, debiased, theirs):
            ema.update(model)
        average = optax.incremental_update(model.weight[...], average, 1 - decay)
        with jax.numpy_dtype_promotion("standard"):  # optax raises the decay to an integer power
            clean, memory = optax_ema.update(model.weight[...], memory)
    np.testing.assert_allclose(ours.averages["weight"][...], theirs.params["weight"][...], atol=1e-4)
    np.testing.assert_allclose(ours.averages["weight"][...], average, atol=1e-4)
    if decay < 0.99:  # near 1, what optax divides by is a difference of nearly equal numbers
        np.testing.assert_allclose(debiased.averages["weight"][...], clean, atol=1e-2)


def test_before_the_first_update_the_averages_are_the_weights():
    model = Deep()
    for debias in (True, False):
        ema = EMA(model, 0.9, debias=debias)
        assert ema.seen[...] == (0 if debias else 1)
        assert type(ema.seen) is Buffer
        for evaluated in (ema.averages, ema.averaged(model)):
            for path, numbers in values(evaluated).items():
                np.testing.assert_array_equal(numbers, values(model)[path])


def test_the_averages_have_a_type_of_their_own():
    model = Deep()
    model.ema = EMA(model, 0.9)
    assert paths(model, EmaWeight) == [f"ema.averages.{path}" for path in WEIGHTS]
    assert paths(model, nnx.Param) == WEIGHTS
    assert paths(model, Buffer) == ["ema.seen"]
    assert shared(model.ema, snapshot(model), buffers=True) == []
    others = nnx.state(model, nnx.Not(nnx.Any(EmaWeight, Buffer)))
    assert shared(model.ema, others, buffers=True) == []
    model.ema.update(model)
    assert paths(model, EmaWeight) == [f"ema.averages.{path}" for path in WEIGHTS]


def test_weight_decay_leaves_the_averages_alone():
    model = Deep()
    model.ema = EMA(model, 0.9)
    before, weights = values(model.ema.averages), values(model)
    decayed = optax.chain(optax.add_decayed_weights(0.5), optax.sgd(0.1))
    optimizer = nnx.Optimizer(model, decayed, wrt=nnx.Param)
    optimizer.update(model, nnx.grad(lambda model: model.layers[0](jnp.ones(4)).sum())(model))
    for path, numbers in values(model.ema.averages).items():
        np.testing.assert_array_equal(numbers, before[path])
    assert (values(model)[("layers", 0, "kernel")] != weights[("layers", 0, "kernel")]).all()


def test_it_compiles_once_and_gives_the_eager_numbers():
    eager, compiled = Deep(), Deep()
    for model in (eager, compiled):
        model.ema = EMA(model, 0.9)
    counter = TraceCounter(lambda model: model.ema.update(model))
    update = nnx.jit(counter)
    for _ in range(3):
        for model in (eager, compiled):
            model.layers[0].bias[...] += 1.0
        eager.ema.update(eager)
        update(compiled)
    assert counter.traces == 1
    for path, numbers in values(compiled.ema.averages).items():
        np.testing.assert_allclose(numbers, values(eager.ema.averages)[path], rtol=1e-6)
    inside = nnx.jit(lambda model: model.ema.averaged(model).layers[0](jnp.ones(4)))(compiled)
    np.testing.assert_allclose(inside, compiled.ema.averaged(compiled).layers[0](jnp.ones(4)), rtol=1e-6)


def test_the_state_of_an_ema_can_be_restored():
    ema, model = run([1.0, 2.0, 4.0], 0.5)
    fresh = EMA(nnx.Dict(weight=nnx.Param(jnp.float32(0))), 0.5)
    nnx.update(fresh, snapshot(ema))
    for each in (ema, fresh):
        each.update(model)
    assert fresh.averages["weight"][...] == ema.averages["weight"][...]
    abstract = nnx.eval_shape(lambda: EMA(Deep(), 0.9))
    assert paths(abstract) == paths(EMA(Deep(), 0.9))


def test_the_averaged_model_is_a_copy_with_the_types_of_the_model():
    model = Deep()
    ema = EMA(model, 0.5)
    for number in (1.0, 2.0):
        model.layers[0].bias[...] = jnp.full(3, number)
        model.rate.set_raw_value(jnp.full(2, number))
        ema.update(model)
    before = values(model)
    evaluated = ema.averaged(model)
    for path, numbers in values(model).items():
        np.testing.assert_array_equal(numbers, before[path])
    for each in (model, ema):
        assert shared(evaluated, each) == shared(evaluated, each, buffers=True) == []
    assert {path: type(leaf) for path, leaf in nnx.to_flat_state(nnx.state(evaluated))} == {
        path: type(leaf) for path, leaf in nnx.to_flat_state(nnx.state(model))
    }
    assert evaluated.tied is evaluated.layers[0].kernel
    np.testing.assert_allclose(evaluated.layers[0].bias[...], 5 / 3, rtol=1e-6)
    np.testing.assert_allclose(evaluated.rate.get_raw_value(), 5 / 3, rtol=1e-6)  # not the log of an average
    np.testing.assert_allclose(evaluated.rate[...], np.exp(5 / 3), rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        (jnp.bfloat16, jnp.float32),
        (jnp.float16, jnp.float32),
        (jnp.float8_e4m3fn, jnp.float32),
        (jnp.float32, jnp.float32),
        (jnp.complex64, jnp.complex64),
    ],
)
def test_small_floats_are_averaged_in_float32(dtype, kept):
    model = nnx.Dict(weight=nnx.Param(jnp.ones(2, dtype)))
    ema = EMA(model, 0.999, debias=False)
    model.weight.set_value(jnp.full(2, 2, dtype))
    for _ in range(3):
        ema.update(model)
    assert ema.averages["weight"].dtype == kept
    np.testing.assert_allclose(ema.averages["weight"][...], 2 - 0.999**3, rtol=1e-6)
    assert ema.averaged(model).weight.dtype == dtype


def test_double_precision_is_kept():
    with jax.enable_x64(True):
        model = nnx.Dict(weight=nnx.Param(jnp.zeros((), jnp.float64)))
        ema = EMA(model, 0.9)
        for number in (1.0, 2.0):
            model.weight[...] = jnp.float64(number)
            ema.update(model)
        np.testing.assert_allclose(ema.averages["weight"][...], (2 + 0.9) / 1.9, rtol=1e-14)


def test_a_filter_chooses_the_weights():
    model = Deep()
    ema = EMA(model, 0.9, only=(nnx.BatchStat, nnx.PathContains("bias")))
    averaged = ["layers.0.bias", "layers.1.bias", "layers.1.mean", "layers.1.var"]
    assert paths(ema.averages) == averaged
    ema.update(model)
    assert paths(ema.averages) == averaged


NO_FLOATS = "a weight must be a Variable that holds an array of floats, got {} at {}: "


@pytest.mark.parametrize(
    ("decay", "only", "error", "message"),
    [
        (1, nnx.Param, TypeError, "got 1 of type int: pass a number such as 0.999."),
        (jnp.float32(0.9), nnx.Param, TypeError, "pass a number such as 0.999."),
        (1.0, nnx.Param, ValueError, "decay must be a float from 0 on and below 1, got 1.0: "),
        (-1e-9, nnx.Param, ValueError, "got -1e-09"),
        (float("nan"), nnx.Param, ValueError, "got nan"),
        (0.9, nnx.Cache, ValueError, "only must match a weight of Deep, got <class"),
        (0.9, nnx.PathContains("plain"), TypeError, NO_FLOATS.format("no Variable", "plain")),
        (0.9, nnx.PathContains("count"), TypeError, NO_FLOATS.format("a Variable of int32", "count")),
        (0.9, nnx.RngKey, TypeError, NO_FLOATS.format("a RngKey of key<fry>", "layers.0.rngs.default.key")),
    ],
)
def test_what_cannot_be_averaged_is_refused(decay, only, error, message):
    model = Deep()
    model.layers[0].rngs = model.rngs
    with pytest.raises(error) as caught:
        EMA(model, decay, only=only)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [{"a": jnp.ones(2)}, 1.0, np.ones(2)])
def test_a_variable_without_an_array_of_jax_is_refused(value):
    with pytest.raises(TypeError, match=f"a Param of {type(value).__name__} at weight"):
        EMA(nnx.Dict(weight=nnx.Param(value)), 0.9)


def test_another_model_is_refused_and_nothing_is_changed():
    ema, _ = run([1.0, 2.0], 0.5)
    before = values(ema.averages)
    other = nnx.Dict(weight=nnx.Param(jnp.ones(1)), more=nnx.Param(jnp.ones(2)))
    for method in (ema.update, ema.averaged, nnx.jit(lambda other: ema.update(other))):
        with pytest.raises(ValueError, match="the weights must have") as caught:
            method(other)
        assert str(caught.value) == (
            "the weights must have the paths and shapes of the averages, got weight (1,) instead of (), "
            "more (2,) instead of absent: pass the model that is averaged, or make a new EMA."
        )
    assert values(ema.averages) == before
    assert ema.seen[...] == 0.5
    other.more.set_value(jnp.ones(2, jnp.int32))
    with pytest.raises(TypeError, match="a Param of int32 at more"):
        ema.update(other)
