"""The bias-less layer and the kernel that it shares with MultiParam."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import Linear
from nnx_state.linear import scaled_normal

seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from([1, 2, 5])


@given(seeds, sizes, sizes)
def test_kernel_is_the_seeds_expression_with_the_first_key_of_the_stream(seed, in_features, out_features):
    # nnx.Rngs makes its n-th key by folding n into jax.random.key(seed).
    key = jax.random.fold_in(jax.random.key(seed), 0)
    expected = jax.random.normal(key, (in_features, out_features)) * (1.0 / jnp.sqrt(in_features))
    layer = Linear(in_features, out_features, rngs=nnx.Rngs(seed))
    np.testing.assert_array_equal(layer.kernel[...], expected, strict=True)


def test_kernel_keeps_the_variance_of_its_input():
    kernel = scaled_normal(jax.random.key(1), 1000, 200)
    assert float(kernel.std() * 1000**0.5) == pytest.approx(1.0, abs=0.01)
    assert float(abs(kernel).max() * 1000**0.5) > 2.5  # a truncated normal would stop near 2.3


def test_state_is_one_param():
    layer = Linear(4, 2, rngs=nnx.Rngs(0))
    assert list(nnx.state(layer)) == list(nnx.state(layer, nnx.Param)) == ["kernel"]
    assert type(layer.kernel) is nnx.Param
    assert (layer.kernel.shape, layer.kernel.dtype) == ((4, 2), jnp.float32)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)])
def test_call_contracts_the_last_axis_alone(shape):
    layer = Linear(4, 2, rngs=nnx.Rngs(0))
    x = jnp.linspace(-1.0, 1.0, num=int(np.prod(shape))).reshape(shape)
    expected = np.asarray(x, np.float64) @ np.asarray(layer.kernel[...], np.float64)
    y = layer(x)
    assert (y.shape, y.dtype) == ((*shape[:-1], 2), jnp.float32)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_two_layers_of_one_stream_differ():
    rngs = nnx.Rngs(0)
    first, second = Linear(2, 2, rngs=rngs), Linear(2, 2, rngs=rngs)
    assert (first.kernel[...] != second.kernel[...]).all()


RANGE = "must be an int from 1 to 2147483647"


@pytest.mark.parametrize(
    ("given_sizes", "error", "message"),
    [
        ((0, 2), ValueError, f"in_features {RANGE}, got 0: pass a number such as 4."),
        ((4, -1), ValueError, f"out_features {RANGE}, got -1: pass a number such as 4."),
        ((4, 2**31), ValueError, f"out_features {RANGE}, got 2147483648: pass a number such as 4."),
        ((4.0, 2), TypeError, f"in_features {RANGE}, got 4.0 of type float: pass a number such as 4."),
        ((4, True), TypeError, f"out_features {RANGE}, got True of type bool: pass a number such as 4."),
        (("4", 2), TypeError, f"in_features {RANGE}, got '4' of type str: pass a number such as 4."),
    ],
)
def test_a_bad_size_is_named(given_sizes, error, message):
    with pytest.raises(error) as caught:
        Linear(*given_sizes, rngs=nnx.Rngs(0))
    assert str(caught.value) == message


def test_numpy_integers_are_sizes():
    assert Linear(np.int64(4), np.uint8(2), rngs=nnx.Rngs(0)).kernel.shape == (4, 2)
