"""Stacks that compute what a loop over their layers does, and trace the layer once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx_state import CallCounter, Linear, Noise, RunningNorm, Stack, TraceCounter, draws, member, unchanged


class Block(nnx.Module):
    """A layer that writes: a count of its calls, running averages, and the count of a random stream."""

    def __init__(self, rngs):
        self.linear = CallCounter(Linear(4, 4, rngs=rngs))
        self.noise = Noise(0.1, rngs=rngs)
        self.norm = RunningNorm(4)

    def __call__(self, x):
        return self.norm(self.noise(self.linear(x)))


def assert_close(one, two):
    """Compare all numbers of two modules; a random key is compared by the numbers inside."""
    assert jax.tree.structure(nnx.state(one)) == jax.tree.structure(nnx.state(two))
    for left, right in zip(jax.tree.leaves(nnx.state(one)), jax.tree.leaves(nnx.state(two)), strict=True):
        if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            left, right = jax.random.key_data(left), jax.random.key_data(right)
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)


def inputs():
    return jax.random.normal(jax.random.key(1), (5, 4))


@settings(max_examples=4)
@given(st.integers(1, 4))
def test_a_stack_is_a_loop_over_its_layers(size):
    stack = Stack(Block, size, rngs=nnx.Rngs(0))
    layers = [member(stack.layers, index) for index in range(size)]
    x = inputs()
    for _ in range(2):
        y = x
        for layer in layers:
            y = layer(y)
        np.testing.assert_allclose(stack(x), y, rtol=1e-4, atol=1e-4)
    for index, layer in enumerate(layers):
        assert_close(layer, member(stack.layers, index))


def test_the_gradient_of_a_stack_is_that_of_the_loop():
    stack, x = Stack(lambda rngs: Linear(4, 4, rngs=rngs), 3, rngs=nnx.Rngs(0)), inputs()

    def loop(kernels):
        y = x
        for kernel in kernels:
            y = y @ kernel
        return jnp.sum(y**2)

    grads = nnx.grad(lambda stack: jnp.sum(stack(x) ** 2))(stack)
    expected = jax.grad(loop)(stack.layers.kernel[...])
    np.testing.assert_allclose(grads["layers"]["kernel"][...], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1, 2, 8])
def test_a_stack_traces_its_layer_once(size):
    counter = TraceCounter(lambda x, kernel: x @ kernel)

    class Counted(Linear):
        def __call__(self, x):
            return counter(x, self.kernel[...])

    stack = Stack(lambda rngs: Counted(4, 4, rngs=rngs), size, rngs=nnx.Rngs(0))
    nnx.jit(lambda stack, x: stack(x))(stack, jnp.ones(4))
    assert counter.traces == 1


@pytest.mark.parametrize(
    ("make", "difference"),
    [
        (lambda rngs: CallCounter(lambda x: x.astype(jnp.float16)), "dtypes"),
        (lambda rngs: nnx.Linear(4, 5, rngs=rngs), "shapes"),
    ],
)
def test_a_layer_must_keep_shape_and_dtype(make, difference):
    stack = Stack(make, 1, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match=f"must have equal types(.|\\n)*so the {difference} do not match"):
        stack(jnp.ones(4))


def test_train_and_eval_reach_the_layers():
    stack = Stack(Block, 2, rngs=nnx.Rngs(0))
    stack.eval()
    before, x = nnx.clone(stack), inputs()
    np.testing.assert_array_equal(stack(x), stack(x))
    assert unchanged(before, stack, nnx.Any(nnx.BatchStat, nnx.RngState)) != []
    assert stack.layers.linear.calls[...].tolist() == [2, 2]


@pytest.mark.parametrize("size", [0, True, 2.0])
def test_a_size_is_an_int_from_one(size):
    rngs = nnx.Rngs(0)
    with pytest.raises((TypeError, ValueError), match="size must be an int from 1 to 2147483647, got "):
        Stack(Block, size, rngs=rngs)
    assert draws(rngs) == {"default": 0}


def test_a_seed_is_not_enough():
    with pytest.raises(TypeError, match=r"rngs must be an nnx.Rngs, got int: pass nnx.Rngs\(0\)\."):
        Stack(Block, 2, rngs=0)
