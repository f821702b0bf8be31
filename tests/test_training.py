"""The training step, the groups of leaves, and the optimizer with a transformation for each group."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx_state import MultiParam, grouped_optimizer, param_groups, train_step

X = jnp.array([1.0, -2.0, 3.0, 0.5])
BIAS, KERNEL = nnx.PathContains("bias"), nnx.PathContains("kernel")


class Stack(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([MultiParam(4, 3, rngs=rngs), MultiParam(3, 2, rngs=rngs)])
        self.tied = self.layers[0]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def loss_fn(model, x):
    return jnp.mean((model(x) - 1.0) ** 2)


def build(wrt=nnx.Param, tx=None):
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    return model, nnx.Optimizer(model, tx or optax.sgd(0.1), wrt=wrt)


def arrays(model):
    return {name: np.asarray(leaf) for name, leaf in nnx.to_pure_dict(nnx.state(model)).items()}


@pytest.mark.parametrize("wrt", [nnx.Param, BIAS, KERNEL, nnx.Variable, ...], ids=repr)
def test_a_step_is_gradient_descent_on_what_wrt_matches(wrt):
    model, optimizer = build(wrt)
    before, grads = arrays(model), nnx.grad(loss_fn)(model, X)
    moved = {"bias", "kernel"} & set(nnx.state(model, wrt))
    loss = train_step(model, optimizer, loss_fn, X)
    assert (loss.shape, loss.dtype) == ((), jnp.float32)
    np.testing.assert_allclose(loss, loss_fn(build()[0], X), rtol=1e-6)
    after = arrays(model)
    for name in ("bias", "kernel"):
        step = 0.1 * np.asarray(grads[name][...]) if name in moved else 0.0
        np.testing.assert_allclose(after[name], before[name] - step, rtol=1e-5, atol=1e-6)
    assert after["count"] == before["count"]
    assert optimizer.step[...] == 1


def test_a_step_keeps_what_the_loss_writes_and_compiles_once():
    traces = []

    def counting(model, x):
        traces.append(1)
        model.count[...] += 1
        return loss_fn(model, x) + model.count[...] ** 2

    model, optimizer = build()
    for _ in range(4):
        train_step(model, optimizer, counting, X)
    assert (model.count[...], optimizer.step[...], len(traces)) == (4.0, 4, 1)


def test_a_step_passes_every_array_of_the_batch():
    model, optimizer = build()
    loss = train_step(model, optimizer, lambda model, x, y: jnp.mean((model(x) - y) ** 2), X, jnp.ones(2))
    np.testing.assert_allclose(loss, loss_fn(build()[0], X), rtol=1e-6)


def test_an_integer_variable_is_passed_by():
    model, _ = build()
    model.count = nnx.Variable(jnp.array(3))
    train_step(model, nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param), loss_fn, X)
    assert model.count[...] == 3


def test_groups_name_each_path_once_and_the_first_match_wins():
    model = Stack(nnx.Rngs(0))
    assert param_groups(model, [nnx.PathContains(0), BIAS, ...]) == [
        ["layers.0.bias", "layers.0.kernel"],
        ["layers.1.bias"],
        ["layers.1.kernel"],
    ]
    assert param_groups(model, [...], wrt=nnx.Not(nnx.Param)) == [["layers.0.count", "layers.1.count"]]


@settings(max_examples=10)
@given(st.lists(st.sampled_from([0.0, 0.125, 0.5]), min_size=2, max_size=2), st.booleans())
def test_each_group_moves_at_its_own_rate(rates, rest):
    model, _ = build()
    before, grads = arrays(model), nnx.grad(loss_fn)(model, X)
    filters = [BIAS, ... if rest else KERNEL]
    optimizer = grouped_optimizer(model, dict(zip(filters, map(optax.sgd, rates), strict=True)))
    assert set(optimizer.update(model, grads)) == {"bias", "kernel"}
    for name, rate in zip(("bias", "kernel"), rates, strict=True):
        np.testing.assert_allclose(arrays(model)[name], before[name] - rate * np.asarray(grads[name][...]), rtol=1e-5)


def test_a_group_set_to_zero_is_frozen_and_the_rest_has_its_state():
    model = Stack(nnx.Rngs(0))
    before = nnx.to_pure_dict(nnx.clone(nnx.state(model)))["layers"]
    optimizer = grouped_optimizer(model, {KERNEL: optax.set_to_zero(), ...: optax.sgd(0.1, momentum=0.9)})
    losses = [train_step(model, optimizer, loss_fn, X) for _ in range(3)]
    after = nnx.to_pure_dict(nnx.state(model))["layers"]
    for number in (0, 1):
        assert jnp.array_equal(after[number]["kernel"], before[number]["kernel"])
        assert (after[number]["bias"] != before[number]["bias"]).all()
        assert after[number]["count"] == 0.0
    assert losses[2] < losses[0]
    paths = {path for path, _ in nnx.to_flat_state(nnx.state(optimizer)) if "trace" in path}
    assert {path[-2:] for path in paths} == {(0, "bias"), (1, "bias")}
    assert optimizer.step[...] == 3


def test_wrt_narrows_and_widens_the_groups():
    model, _ = build()
    assert param_groups(model, [...], wrt=BIAS) == [["bias"]]
    before = arrays(model)
    optimizer = grouped_optimizer(
        model,
        {BIAS: optax.sgd(0.1), nnx.PathContains("count"): optax.sgd(0.5)},
        wrt=nnx.Any(BIAS, nnx.PathContains("count")),
    )
    train_step(model, optimizer, lambda model, x: loss_fn(model, x) + model.count[...], X)
    assert model.count[...] == -0.5
    assert (arrays(model)["kernel"] == before["kernel"]).all()
    assert optimizer.step[...] == 1


def test_groups_of_types():
    class Gain(nnx.Param):
        pass

    model, _ = build()
    model.gain = Gain(jnp.ones(()))
    assert param_groups(model, [Gain, nnx.Param]) == [["gain"], ["bias", "kernel"]]


NO_LEAF = "mend its spelling, take it out, or move it before the filter that takes its leaves."
ANY = "every filter must get a leaf, "


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            [BIAS],
            "every leaf needs a group, got none for kernel: "
            "add a filter that matches, or end with `...`, which matches all that is left.",
        ),
        (
            [],
            "every leaf needs a group, got none for bias, kernel: "
            "add a filter that matches, or end with `...`, which matches all that is left.",
        ),
        ([nnx.PathContains("biases"), ...], f"{ANY}PathContains('biases', exact=True) got none: {NO_LEAF}"),
        ([..., BIAS], f"{ANY}PathContains('bias', exact=True) got none: {NO_LEAF}"),
        ([BIAS, KERNEL, ...], f"{ANY}Ellipsis got none: {NO_LEAF}"),
    ],
    ids=["no group", "no filter", "misspelt", "taken before", "nothing left"],
)
def test_filters_that_do_not_fit_are_named(filters, message):
    model, _ = build()
    with pytest.raises(ValueError, match="got none") as caught:
        param_groups(model, filters)
    assert str(caught.value) == message
    with pytest.raises(ValueError, match="got none") as caught:
        grouped_optimizer(model, dict.fromkeys(filters, optax.sgd(0.1)))
    assert str(caught.value) == message


def test_a_filter_that_matches_nothing_is_refused():
    model, optimizer = build(nnx.PathContains("biases"))
    message = (
        "wrt must match a leaf of MultiParam, PathContains('biases', exact=True) matches none: "
        "mend the filter; nnx.Param matches all Params."
    )
    with pytest.raises(ValueError, match="wrt must match") as caught:
        train_step(model, optimizer, loss_fn, X)
    assert str(caught.value) == message
    for make in (
        lambda wrt: param_groups(model, [...], wrt=wrt),
        lambda wrt: grouped_optimizer(model, {...: optax.sgd(0.1)}, wrt=wrt),
    ):
        with pytest.raises(ValueError, match="wrt must match") as caught:
            make(optimizer.wrt)
        assert str(caught.value) == message


def test_a_learning_rate_is_no_transformation():
    with pytest.raises(TypeError) as caught:
        grouped_optimizer(build()[0], {BIAS: optax.sgd(0.1), ...: 0.1})
    assert str(caught.value) == (
        "the group Ellipsis must have an Optax transformation, got 0.1 of type float: pass one such as optax.sgd(0.1)."
    )
