"""The loss and its gradients: which leaves get one, the numbers beside NumPy's, and a model that is left alone."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx_state import MultiParam, loss_and_grads

X = jnp.array([1.0, -2.0, 3.0, 0.5])


def loss_fn(model, x):
    model.count[...] += 1
    return jnp.mean((model(x) - 1.0) ** 2) + model.count[...] ** 2


def build(count=0.0):
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    model.count = nnx.Variable(jnp.array(count))
    return model


def numbers(model):
    return {path[-1]: np.array(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(model))}


@pytest.mark.parametrize("wrt", [nnx.Param, nnx.Variable, nnx.PathContains("bias"), nnx.Not(nnx.Param), ...], ids=repr)
def test_exactly_what_matches_gets_the_slopes_that_numpy_computes(wrt):
    model = build(count=2.0)
    before = numbers(model)
    loss, grads = loss_and_grads(model, loss_fn, X, wrt=wrt)
    residual = np.asarray(X) @ before["kernel"] + before["bias"] - 1.0
    slopes = {"bias": residual, "kernel": np.outer(X, residual), "count": 6.0}
    assert set(grads) == set(nnx.state(model, wrt))
    assert (loss.shape, loss.dtype) == ((), jnp.float32)
    np.testing.assert_allclose(loss, np.mean(residual**2) + 9.0, rtol=1e-5)
    for name in grads:
        assert (grads[name].shape, grads[name].dtype) == (before[name].shape, before[name].dtype)
        np.testing.assert_allclose(grads[name][...], slopes[name], rtol=1e-4, atol=1e-5)


def test_the_model_keeps_its_numbers_and_what_the_loss_writes():
    model = build()
    kernel, before = model.kernel, numbers(model)
    for times in (1, 2):
        loss_and_grads(model, loss_fn, X)
        after = numbers(model)
        assert after.pop("count") == times
        assert all((after[name] == before[name]).all() for name in after)
    assert model.kernel is kernel


def test_the_loss_runs_once_with_the_whole_batch():
    given_batches = []

    def noting(model, *batch):
        given_batches.append(batch)
        return jnp.mean(model(X))

    for batch in ((), (X,), (X, X)):
        loss_and_grads(build(), noting, *batch)
    assert [len(batch) for batch in given_batches] == [0, 1, 2]


@settings(max_examples=10)
@given(st.lists(st.sampled_from(["bias", "kernel", "count"]), min_size=1, unique=True))
def test_filters_by_name_split_one_gradient(names):
    wrt = nnx.Any(*map(nnx.PathContains, names))
    _, chosen = loss_and_grads(build(1.0), loss_fn, X, wrt=wrt)
    _, whole = loss_and_grads(build(1.0), loss_fn, X, wrt=nnx.Variable)
    assert set(chosen) == set(names)
    for name in names:
        np.testing.assert_allclose(chosen[name][...], whole[name][...], rtol=1e-6)


def test_a_whole_number_is_passed_by_unless_it_is_asked_for():
    model = build(count=3)
    _, grads = loss_and_grads(model, loss_fn, X)
    assert set(grads) == {"bias", "kernel"}
    assert model.count[...] == 4
    with pytest.raises(TypeError, match="real- or complex-valued inputs"):
        loss_and_grads(model, loss_fn, X, wrt=nnx.Variable)


@pytest.mark.parametrize("wrt", [nnx.PathContains("biases"), None], ids=repr)
def test_a_filter_that_matches_nothing_is_refused(wrt):
    with pytest.raises(ValueError, match="wrt must match") as caught:
        loss_and_grads(build(), loss_fn, X, wrt=wrt)
    assert str(caught.value) == (
        f"wrt must match a leaf of MultiParam, {wrt!r} matches none: mend the filter; nnx.Param matches all Params."
    )
