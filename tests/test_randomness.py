"""A layer that draws, the draws that are counted, and keys that depend on a key and a path alone."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import Noise, draws, reseed, snapshot

X = jnp.ones(16)


def bits(model):
    """Return the numbers in each key and each count, by path."""
    state = nnx.to_flat_state(nnx.state(model, nnx.RngState))
    return {
        path: np.asarray(jax.random.key_data(leaf[...]) if isinstance(leaf, nnx.RngKey) else leaf[...]).tolist()
        for path, leaf in state
    }


def fork_key(seed):
    """Return the key of the first fork of a stream, by the formula of NNX."""
    return jax.random.fold_in(jax.random.key(seed), 0)


@given(st.integers(0, 2**32 - 1), st.floats(0, 10), st.sampled_from(["float32", "bfloat16"]))
def test_noise_is_a_scaled_normal_of_the_next_key(seed, scale, dtype):
    layer, x = Noise(scale, rngs=nnx.Rngs(seed)), jnp.ones((2, 3), dtype)
    for n in range(2):
        draw = jax.random.normal(jax.random.fold_in(fork_key(seed), n), x.shape, x.dtype)
        y = layer(x)
        assert y.dtype == x.dtype
        assert (y == x + scale * draw).all()


@pytest.mark.parametrize("scale", [1, 0, np.float64(0.5), True])
def test_every_real_number_is_a_scale(scale):
    layer = Noise(scale, rngs=nnx.Rngs(0))
    assert type(layer.scale) is float
    assert layer(jnp.ones((), jnp.bfloat16)).dtype == jnp.bfloat16


def test_a_stream_named_noise_comes_before_the_default():
    named, default = (Noise(1.0, rngs=rngs) for rngs in (nnx.Rngs(1, noise=0), nnx.Rngs(0)))
    assert (named(X) == default(X)).all()
    assert (named.rngs.tag, default.rngs.tag) == ("noise", "default")


def test_noise_leaves_the_input_alone_in_eval_mode_and_resumes():
    model = nnx.Sequential(Noise(1.0, rngs=nnx.Rngs(0)), Noise(1.0, rngs=nnx.Rngs(1)))
    model.eval()
    assert model(X) is X
    assert draws(model) == {"layers.0.rngs": 0, "layers.1.rngs": 0}
    model.train()
    assert (model(X) != X).all()
    assert draws(model) == {"layers.0.rngs": 1, "layers.1.rngs": 1}


def test_noise_counts_under_nnx_jit_as_it_does_without():
    eager, compiled = (Noise(1.0, rngs=nnx.Rngs(0)) for _ in range(2))
    call = nnx.jit(lambda layer, x: layer(x))
    for _ in range(3):
        assert jnp.allclose(eager(X), call(compiled, X), rtol=1e-6)
    assert draws(eager) == draws(compiled) == {"rngs": 3}


SCALE = "scale must be a finite number that is not negative, got "


@pytest.mark.parametrize(
    ("scale", "error", "given"),
    [
        ("1", TypeError, "'1' of type str"),
        (None, TypeError, "None of type NoneType"),
        (1j, TypeError, "1j of type complex"),
        (np.float32(1), TypeError, "np.float32(1.0) of type float32"),
        (-1e-9, ValueError, "-1e-09"),
        (float("inf"), ValueError, "inf"),
        (float("nan"), ValueError, "nan"),
    ],
)
def test_other_scales_are_refused_and_nothing_is_drawn(scale, error, given):
    rngs = nnx.Rngs(0)
    with pytest.raises(error) as caught:
        Noise(scale, rngs=rngs)
    assert str(caught.value) == f"{SCALE}{given}: pass a number such as 0.1."
    assert draws(rngs) == {"default": 0}


@pytest.fixture
def model():
    """Return a model with two forks, a shared Rngs of two streams, and a Param."""
    rngs = nnx.Rngs(params=0, noise=1)
    layers = nnx.List([Noise(0.1, rngs=rngs), nnx.Dropout(0.5, rngs=nnx.Rngs(2))])
    return nnx.Dict(kernel=nnx.Param(rngs.params.normal((2,))), layers=layers, rngs=rngs, same=rngs)


def test_draws_names_each_stream_once(model):
    model.layers[0](X)
    model.layers[0](X)
    expected = {"layers.0.rngs": 2, "layers.1.rngs": 0, "rngs.noise": 1, "rngs.params": 1}
    assert draws(model) == expected
    assert list(draws(model)) == list(expected)
    saved = snapshot(model)
    model.rngs.params()
    assert draws(saved) == expected
    assert draws(model) == expected | {"rngs.params": 2}


def test_draws_of_other_nodes(model):
    assert draws(model.rngs) == {"noise": 1, "params": 1}
    assert draws(model.rngs.noise) == {"count": 1}
    assert draws(nnx.Linear(2, 2, rngs=nnx.Rngs(0))) == {}


def test_a_split_stream_counts_the_draws_of_all_its_keys(model):
    layer = model.layers[1]
    mapped = nnx.vmap(lambda layer, x: layer(x), in_axes=(nnx.StateAxes({nnx.RngState: 0, ...: None}), 0))
    with nnx.split_rngs(layer, splits=3):
        mapped(layer, jnp.ones((3, 4)))
        assert draws(layer) == {"rngs": 3}
    assert draws(layer) == {"rngs": 1}


@pytest.mark.parametrize(
    ("attempt", "name"),
    [
        (lambda model: nnx.jit(draws)(model), "DynamicJaxprTracer"),
        (lambda model: draws(nnx.eval_shape(lambda: nnx.Dict(layers=nnx.List([Noise(1, rngs=nnx.Rngs(0))])))), "Shape"),
    ],
)
def test_counts_without_a_value_are_refused(model, attempt, name):
    with pytest.raises(TypeError) as caught:
        attempt(model)
    message = str(caught.value)
    assert message.startswith(f"draws must read counts with values, got {name}")
    assert message.endswith(" at layers.0.rngs.count: call it outside of jit, on a model that is not abstract.")


def test_reseed_folds_the_path_into_the_key(model):
    for path, variable in nnx.to_flat_state(nnx.state(model, nnx.RngCount)):
        variable.set_value(jnp.uint32(len(path)))
    old, kernel = nnx.state(model), model.kernel[...]
    variables = [leaf for _, leaf in nnx.to_flat_state(old)]
    reseed(model, 7)
    for path, key in nnx.to_flat_state(nnx.state(model, nnx.RngKey)):
        dotted = ".".join(map(str, path))
        assert key[...] == jax.random.fold_in(jax.random.key(7), zlib.crc32(dotted.encode())), dotted
    assert set(draws(model).values()) == {0}
    assert all(count.dtype == jnp.uint32 for _, count in nnx.to_flat_state(nnx.state(model, nnx.RngCount)))
    assert all(leaf is new for leaf, (_, new) in zip(variables, nnx.to_flat_state(nnx.state(model)), strict=True))
    assert (model.kernel[...] == kernel).all()


@given(st.lists(st.booleans(), max_size=4), st.integers(0, 2**32 - 1))
def test_a_layer_draws_the_same_whatever_stands_behind_it(others, seed):
    layers = [nnx.Dropout(0.5, rngs=nnx.Rngs(0))]
    layers += [Noise(0.1, rngs=nnx.Rngs(0)) if noise else nnx.Linear(2, 2, rngs=nnx.Rngs(0)) for noise in others]
    alone, model = nnx.Sequential(layers[0]), nnx.Sequential(*map(nnx.clone, layers))
    reseed(alone, seed)
    reseed(model, seed)
    found = {path: numbers for path, numbers in bits(model).items() if path in bits(alone)}
    assert found == bits(alone)
    keys = [str(numbers) for path, numbers in bits(model).items() if path[-1] == "key"]
    assert len(keys) == len(set(keys))


@given(st.integers(0, 2**32 - 1))
def test_a_seed_stands_for_its_key(seed):
    results = []
    for key in (seed, np.uint32(seed), np.int64(seed), jax.random.key(seed)):
        rngs = nnx.Rngs(a=0, b=0)
        reseed(rngs, key)
        results.append(bits(rngs))
    assert results == [results[0]] * 4


def test_a_split_stream_gets_as_many_keys():
    rngs = nnx.Rngs(0).split((2, 3))
    rngs.default.count.set_value(jnp.ones((2, 3), jnp.uint32))
    reseed(rngs, 5)
    fresh = jax.random.fold_in(jax.random.key(5), zlib.crc32(b"default.key"))
    assert (rngs.default.key[...] == jax.random.split(fresh, (2, 3))).all()
    assert rngs.default.count.shape == (2, 3)
    assert draws(rngs) == {"default": 0}


def masked(layer, key, x):
    reseed(layer, key)
    return layer(x)


def test_the_numbers_are_the_same_under_every_transform():
    layer, keys = nnx.Dropout(0.5, rngs=nnx.Rngs(0)), jax.random.split(jax.random.key(1), 3)
    eager = jnp.stack([masked(nnx.clone(layer), key, X) for key in keys])
    assert len(np.unique(eager, axis=0)) == 3
    for jit in (jax.jit, nnx.jit):
        compiled = jit(masked)
        assert (jnp.stack([compiled(layer, key, X) for key in keys]) == eager).all()
    assert (jax.vmap(masked, (None, 0, None))(layer, keys, X) == eager).all()


def test_reseeding_does_not_compile_anew():
    traces = []

    @nnx.jit
    def call(layer, key):
        traces.append("trace")
        return masked(layer, key, X)

    layer = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    for n in range(3):
        call(layer, jax.random.key(n))
    assert len(traces) == 1


KEY = "key must be an int from 0 to 4294967295 or one key, got "
KINDS = ": pass a seed such as 0; a step goes into a key by jax.random.fold_in(key, step)."
RANGE = ": choose one in this range."


@pytest.mark.parametrize(
    ("key", "error", "said"),
    [
        (1.0, TypeError, f"1.0{KINDS}"),
        (None, TypeError, f"None{KINDS}"),
        ("0", TypeError, f"'0'{KINDS}"),
        (jax.random.key_data(jax.random.key(0)), TypeError, f"uint32[2]{KINDS}"),
        (jax.random.split(jax.random.key(0), 1), TypeError, f"key<fry>[1]{KINDS}"),
        (jnp.ones(()), TypeError, f"float32[]{KINDS}"),
        (-1, ValueError, f"-1{RANGE}"),
        (2**32, ValueError, f"4294967296{RANGE}"),
    ],
)
def test_other_keys_are_refused_and_nothing_is_written(model, key, error, said):
    before = bits(model)
    with pytest.raises(error) as caught:
        reseed(model, key)
    assert str(caught.value) == KEY + said
    assert bits(model) == before


def test_a_traced_seed_is_refused(model):
    with pytest.raises(TypeError) as caught:
        jax.jit(reseed)(model, jnp.int32(3))
    assert str(caught.value) == f"{KEY}int32[]{KINDS}"


def test_a_model_without_a_stream_is_refused():
    with pytest.raises(ValueError, match="must have") as caught:
        reseed(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), 0)
    assert str(caught.value) == (
        "model must have a random stream, got Linear without one: "
        "pass a model with a layer such as nnx.Dropout(0.5, rngs=nnx.Rngs(0))."
    )


def test_a_view_has_a_flag_of_its_own():
    layer = Noise(0.5, rngs=nnx.Rngs(0))
    model = nnx.Sequential(layer, nnx.BatchNorm(2, rngs=nnx.Rngs(0)))
    assert nnx.view(layer, deterministic=True).deterministic
    view = nnx.view(model, use_running_average=True)
    assert not view.layers[0].deterministic
    assert not layer.deterministic
