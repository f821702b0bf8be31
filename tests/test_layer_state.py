"""What `written` sees of a call, and that a recurrent layer read in parts is the layer read whole."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from nnx_state import Carry, StatefulRNN, written

CELLS = (nnx.GRUCell, nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.SimpleCell)
X = jax.random.normal(jax.random.key(0), (2, 6, 3))


class Kinds(nnx.Module):
    def __init__(self):
        self.count = nnx.Variable(jnp.zeros((), jnp.int32))
        self.plain = jnp.zeros(2)
        self.nan = nnx.Variable(jnp.array(jnp.nan))
        self.kernel = nnx.Param(jnp.ones(2))
        self.tied = self.kernel
        self.rngs = nnx.Rngs(0)


def stateful(cell=nnx.GRUCell, batch=2):
    return StatefulRNN(cell(3, 4, rngs=nnx.Rngs(0)), batch, rngs=nnx.Rngs(1))


def carry_of(model):
    return jax.tree.leaves(model.carry.get_value())


CALLS = {
    "nothing": (lambda model: None, {}),
    "a Variable": (lambda model: model.count.set_value(model.count + 1), {"count": "Variable"}),
    "a part of a Param that is tied": (lambda model: model.tied.set_value(jnp.array([1.0, 2.0])), {"kernel": "Param"}),
    "the same numbers": (lambda model: model.kernel.set_value(jnp.ones(2)), {}),
    "a NaN again": (lambda model: model.nan.set_value(jnp.array(jnp.nan)), {}),
    "another dtype": (lambda model: model.count.set_value(jnp.zeros(())), {"count": "Variable"}),
    "another shape": (lambda model: model.kernel.set_value(jnp.ones((2, 1))), {"kernel": "Param"}),
    "a negative zero": (lambda model: setattr(model, "plain", -model.plain), {"plain": "ArrayImpl"}),
    "a key": (lambda model: model.rngs(), {"rngs.default.count": "RngCount"}),
    "a new one": (lambda model: setattr(model, "more", nnx.Cache(jnp.ones(1))), {"more": "Cache"}),
    "one less": (lambda model: delattr(model, "count"), {"count": "Variable"}),
    "another type": (lambda model: setattr(model, "count", nnx.Cache(model.count.get_value())), {"count": "Cache"}),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call_is_seen_by_what_it_writes_and_the_model_stays(case):
    call, wanted = CALLS[case]
    model = Kinds()
    assert written(model, call) == wanted
    assert written(model, lambda model: None) == {}
    assert int(model.count[...]) == 0
    assert int(model.rngs.default.count[...]) == 0
    np.testing.assert_array_equal(model.kernel[...], [1, 1])


def test_a_call_that_donates_its_model_leaves_ours():
    model = nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    step = nnx.jit(lambda model, x: model(x), donate_argnums=0)
    assert list(written(model, lambda copy: step(copy, jnp.ones((3, 2))))) == ["mean", "var"]
    assert model(jnp.ones((3, 2))).shape == (3, 2)


def test_a_traced_model_is_refused():
    with pytest.raises(TypeError, match="written must read numbers, got a traced model: call it outside of jit"):
        nnx.jit(lambda model: written(model, lambda model: None) and None)(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))


@pytest.mark.parametrize("cell", CELLS)
def test_parts_are_the_whole_and_a_reset_begins_again(cell):
    model, whole = stateful(cell), stateful(cell)
    expected = whole.rnn(X)  # from a carry of zeros
    parts = [model(X[:, :1]), nnx.jit(StatefulRNN.__call__)(model, X[:, 1:4]), model(X[:, 4:])]
    np.testing.assert_allclose(jnp.concatenate(parts, axis=1), expected, atol=1e-6)
    np.testing.assert_allclose(whole(X), expected, atol=1e-6)
    for one, other in zip(carry_of(model), carry_of(whole), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    model.reset()
    assert not any(jnp.any(part) for part in carry_of(model))
    np.testing.assert_allclose(model(X), expected, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_the_carry_is_state_that_no_one_trains(cell):
    model = stateful(cell)
    assert written(model, lambda model: model(X)) == {"carry": "Carry"}
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    grads = nnx.grad(lambda model, x: (model(x) ** 2).sum())(model, X)
    before = carry_of(model)
    assert not any(isinstance(leaf, Carry) for _, leaf in nnx.to_flat_state(nnx.state(grads)))
    optimizer.update(model, grads)
    for one, other in zip(before, carry_of(model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_first_carry_is_drawn_where_the_cell_draws_it():
    with pytest.warns(UserWarning, match="carry_init is provided in __init__"):
        cell = nnx.GRUCell(3, 4, carry_init=nnx.initializers.normal(), rngs=nnx.Rngs(0))
    model = StatefulRNN(cell, 2, rngs=nnx.Rngs(1))
    (first,) = carry_of(model)
    assert jnp.all(first != 0)
    np.testing.assert_allclose(model(X), model.rnn(X, initial_carry=first), atol=1e-6)


def test_a_batch_of_another_size_is_refused_and_the_carry_stays():
    model = stateful()
    model(X)
    before = carry_of(model)[0]
    with pytest.raises(ValueError, match="x must hold the 2 sequences of the carry, got 3: make a layer for them"):
        model(jnp.ones((3, 6, 3)))
    np.testing.assert_array_equal(before, carry_of(model)[0])
