"""What `differences` tells two states apart by, and what it takes for equal."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from nnx_state import StatefulRNN, differences


def leaf(value, kind=nnx.Param):
    return nnx.Dict(w=kind(value))


PAIRS = {
    "equal": (leaf(jnp.ones(2)), leaf(jnp.ones(2)), {}),
    "a NaN": (leaf(jnp.array([jnp.nan, 1])), leaf(jnp.array([jnp.nan, 1])), {}),
    "a sign of zero": (leaf(jnp.zeros(2)), leaf(-jnp.zeros(2)), {"w": "numbers"}),
    "numbers": (leaf(jnp.ones(2)), leaf(jnp.array([1.0, 2.0])), {"w": "numbers"}),
    "shape": (leaf(jnp.ones((2, 1))), leaf(jnp.ones(2)), {"w": "shape: (2, 1), (2,)"}),
    "dtype": (leaf(jnp.ones(2)), leaf(jnp.ones(2, jnp.bfloat16)), {"w": "dtype: float32, bfloat16"}),
    "type": (leaf(jnp.ones(2)), leaf(jnp.ones(2), nnx.BatchStat), {"w": "type: Param, BatchStat"}),
    "array": (leaf(jnp.ones(2)), leaf(jnp.ones(2), nnx.data), {"w": "type: Param, ArrayImpl"}),
    "tree": (leaf((jnp.ones(2), jnp.ones(2))), leaf((jnp.ones(2),)), {"w": "shape: (2,) and (2,), (2,)"}),
    "first": (nnx.Dict(a=nnx.Param(jnp.ones(1))), nnx.Dict(), {"a": "in the first alone"}),
    "second": (nnx.Dict(), nnx.Dict(a=nnx.Param(jnp.ones(1))), {"a": "in the second alone"}),
    "keys": (nnx.Rngs(0), nnx.Rngs(0), {}),
    "other keys": (nnx.Rngs(0), nnx.Rngs(1), {"default.key": "numbers"}),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_pair_differs_in_what_it_should(case):
    one, other, wanted = PAIRS[case]
    assert differences(one, other) == wanted
    assert differences(nnx.state(one), nnx.state(other)) == wanted


def test_paths_are_sorted_and_shared_leaves_told_once():
    one = nnx.Dict(b=nnx.Param(jnp.ones(1)), a=nnx.Param(jnp.ones(1)))
    one.c = one.b
    other = nnx.clone(one)
    other.a[...] = other.c[...] = jnp.zeros(1)
    assert list(differences(one, other)) == ["a", "b"]


def test_two_models_without_a_leaf_have_the_same_state():
    assert differences(nnx.Dict(), nnx.Dict()) == {}
    with pytest.raises(ValueError, match="matches none"):
        differences(nnx.Dict(), nnx.Dict(), nnx.Param)


def test_a_filter_narrows():
    one, other = (nnx.BatchNorm(2, rngs=nnx.Rngs(0)) for _ in range(2))
    other.mean[...] += 1
    assert differences(one, other) == {"mean": "numbers"}
    assert differences(one, other, nnx.Param) == {}
    with pytest.raises(ValueError, match=r"only must match a leaf of one of the two, got .*Cache.*: pass `...`"):
        differences(one, other, nnx.Cache)


def test_optimizers_and_restored_models_are_compared_too():
    model = StatefulRNN(nnx.LSTMCell(2, 3, rngs=nnx.Rngs(0)), 1, rngs=nnx.Rngs(0))
    optimizers = [nnx.Optimizer(model, optax.adam(rate), wrt=nnx.Param) for rate in (0.1, 0.2)]
    assert differences(*optimizers) == {}
    copy = nnx.clone(model)
    assert differences(model, copy) == {}
    copy(jnp.ones((1, 2, 2)))
    assert differences(model, copy) == {"carry": "numbers"}


def test_abstract_and_traced_models_have_no_numbers():
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="differences must read numbers, got a traced model"):
        nnx.jit(lambda model: differences(model, model) and None)(model)
    with pytest.raises(TypeError, match="differences must read numbers, got an abstract model"):
        differences(nnx.eval_shape(lambda: nnx.Linear(2, 3, rngs=nnx.Rngs(0))), model)


def test_nothing_is_changed():
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    before = jax.tree.map(np.array, nnx.as_pure(nnx.state(model)))
    differences(model, nnx.clone(model))
    jax.tree.map(np.testing.assert_array_equal, before, nnx.as_pure(nnx.state(model)))
