"""Masks from filters, hyperparameters as Variables, and what a new optimizer takes over from an old one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from nnx_state import MultiParam, carry_over, hyperparameter, param_mask, train_step

KERNEL = nnx.PathContains("kernel")


@pytest.fixture(autouse=True)
def promotion_of_optax():
    with jax.numpy_dtype_promotion("standard"):  # Adam raises a float to the power of an int
        yield


def loss_fn(model, x):
    return jnp.mean((model(x) - 1.0) ** 2)


def build(tx, width=2):
    model = MultiParam(4, width, rngs=nnx.Rngs(0))
    return model, nnx.Optimizer(model, tx, wrt=nnx.Param)


def numbers(node):
    return {".".join(map(str, path)): np.array(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(node))}


@pytest.mark.parametrize("chosen", [KERNEL, nnx.PathContains("bias"), nnx.Param, ...], ids=repr)
def test_a_mask_lets_decay_reach_what_the_filter_matches(chosen):
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    model.bias[...] = jnp.ones(2)
    mask = param_mask(model, chosen)
    optimizer = nnx.Optimizer(model, optax.adamw(0.1, weight_decay=0.5, mask=mask), wrt=nnx.Param)
    before = numbers(model)
    optimizer.update(model, jax.tree.map(jnp.zeros_like, nnx.state(model, nnx.Param)))
    after, matched = numbers(model), set(nnx.state(nnx.state(model, nnx.Param), chosen))
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value * (0.95 if name in matched else 1.0), rtol=1e-6)


def test_a_mask_has_the_leaves_of_wrt():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    assert nnx.to_pure_dict(param_mask(model, KERNEL, wrt=KERNEL)) == {"kernel": True}
    assert set(nnx.to_pure_dict(param_mask(model, KERNEL, wrt=nnx.Variable))) == {"bias", "count", "kernel"}


@pytest.mark.parametrize(
    ("chosen", "wrt"), [(nnx.PathContains("kernels"), nnx.Param), (KERNEL, nnx.PathContains("bias"))]
)
def test_a_mask_of_nothing_is_refused(chosen, wrt):
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"must match a trained leaf, .* wrt matches bias"):
        param_mask(model, chosen, wrt=wrt)


def nested(rate):
    injected = optax.inject_hyperparams(optax.sgd)(learning_rate=rate)
    grouped = optax.partition({"all": injected}, lambda tree: jax.tree.map(lambda _: "all", tree))
    return {"alone": injected, "chained": optax.chain(optax.clip(1.0), injected), "grouped": grouped}


@pytest.mark.parametrize("how", ["alone", "chained", "grouped"])
def test_a_rate_that_is_written_is_used_by_the_next_step_without_a_trace(how):
    model, optimizer = build(nested(0.1)[how])
    traces = []

    def counted(model, x):
        traces.append(1)
        return 0.01 * loss_fn(model, x)  # so small that nothing is clipped

    x = jnp.array([1.0, -2.0, 3.0, 0.5])
    train_step(model, optimizer, counted, x)
    assert hyperparameter(optimizer, "learning_rate")[...] == jnp.float32(0.1)
    first = len(traces)
    for rate in (0.0, 0.5):
        hyperparameter(optimizer, "learning_rate")[...] = rate
        before, slope = numbers(model), nnx.grad(loss_fn)(model, x)
        train_step(model, optimizer, counted, x)
        for name in ("kernel", "bias"):
            wanted = before[name] - rate * 0.01 * np.asarray(slope[name][...])
            np.testing.assert_allclose(numbers(model)[name], wanted, rtol=1e-4, atol=1e-6)
    assert len(traces) == first


def test_a_hyperparameter_that_is_not_there_or_is_there_twice_is_refused():
    _, plain = build(optax.adam(0.1))
    with pytest.raises(ValueError, match=r"and it holds none: make it with optax.inject_hyperparams"):
        hyperparameter(plain, "learning_rate")
    injected = optax.inject_hyperparams(optax.adam)(learning_rate=0.1)
    _, adam = build(injected)
    with pytest.raises(ValueError, match=r"'rate': name one that it holds, b1, b2, eps, eps_root, learning_rate"):
        hyperparameter(adam, "rate")
    _, twice = build(optax.chain(injected, injected))
    with pytest.raises(ValueError, match=r"got 2: .* opt_state\.0\.hyperparams\.b1, opt_state\.1\.hyperparams\.b1"):
        hyperparameter(twice, "b1")


def trained(tx):
    model, optimizer = build(tx)
    for _ in range(3):
        train_step(model, optimizer, loss_fn, jnp.array([1.0, -2.0, 3.0, 0.5]))
    return model, optimizer


def test_the_same_model_goes_on_as_if_nothing_had_happened():
    model, old = trained(optax.adam(0.1))
    other, before = nnx.clone(model), numbers(old)
    new = nnx.Optimizer(other, optax.adam(0.1), wrt=nnx.Param)
    assert carry_over(old, new) == []
    x = jnp.ones(4)
    train_step(other, new, loss_fn, x)
    for name, value in numbers(old).items():
        np.testing.assert_array_equal(value, before[name])
    train_step(model, old, loss_fn, x)
    for name, value in numbers(model).items():
        np.testing.assert_array_equal(numbers(other)[name], value)


def test_what_has_another_shape_or_dtype_starts_anew():
    model, old = trained(optax.adam(0.1))
    model.bias = nnx.Param(jnp.zeros(1))
    model.kernel = nnx.Param(model.kernel.astype(jnp.bfloat16))
    model.extra = nnx.Param(jnp.zeros(3))
    new = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
    leaves = [f"opt_state.0.{moment}.{name}" for moment in ("mu", "nu") for name in ("bias", "extra", "kernel")]
    assert sorted(carry_over(old, new)) == leaves
    assert new.step[...] == 3
    assert new.opt_state[0].count[...] == 3
    assert not new.opt_state[0].mu["kernel"][...].any()


def test_a_donated_new_optimizer_leaves_the_old_one_whole():
    model, old = trained(optax.adam(0.1))
    new = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
    carry_over(old, new)
    jax.jit(lambda state: jax.tree.map(jnp.negative, state), donate_argnums=0)(nnx.state(new, nnx.OptState))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(nnx.state(old)))


def test_another_rule_is_refused_and_nothing_is_changed():
    model, old = trained(optax.sgd(0.1, momentum=0.9))
    new = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
    with pytest.raises(ValueError, match="must have the same update rule"):
        carry_over(old, new)
    assert new.step[...] == 0


def test_a_rule_without_a_memory_carries_its_count_alone():
    model, old = trained(optax.sgd(0.1))
    new = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    assert carry_over(old, new) == []
    assert new.step[...] == 3


def test_all_three_work_in_tree_mode():
    with nnx.set_graph_mode(False), nnx.set_graph_updates(False):
        model = MultiParam(4, 2, rngs=nnx.Rngs(0))
        tx = optax.inject_hyperparams(optax.adam)(learning_rate=0.1)
        optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
        assert nnx.to_pure_dict(param_mask(model, KERNEL)) == {"bias": False, "kernel": True}
        hyperparameter(optimizer, "learning_rate")[...] = 0.5
        new = nnx.Optimizer(model, tx, wrt=nnx.Param)
        assert carry_over(optimizer, new) == []
        assert hyperparameter(new, "learning_rate")[...] == 0.5
