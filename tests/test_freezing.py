"""Low-rank adapters: their formula, what trains, what is merged, and what is refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx_state import (
    Linear,
    LoRALinear,
    MultiParam,
    TraceCounter,
    merge_lora,
    paths,
    restore,
    shared,
    snapshot,
    train_step,
    unchanged,
)

BASES = {
    "nnx.Linear": lambda: nnx.Linear(4, 3, rngs=nnx.Rngs(0)),
    "no bias": lambda: nnx.Linear(4, 3, use_bias=False, rngs=nnx.Rngs(0)),
    "MultiParam": lambda: MultiParam(4, 3, rngs=nnx.Rngs(0)),
    "Linear": lambda: Linear(4, 3, rngs=nnx.Rngs(0)),
    "LinearGeneral": lambda: nnx.LinearGeneral(4, 3, rngs=nnx.Rngs(0)),
}
ADAMW = optax.adamw(0.1, weight_decay=0.1)


class Net(nnx.Module):
    """Two layers, one of them used twice, and a counter."""

    def __init__(self, rngs):
        self.body = nnx.List([nnx.Linear(4, 4, rngs=rngs), nnx.Linear(4, 4, rngs=rngs)])
        self.head = nnx.Linear(4, 2, rngs=rngs)
        self.count = nnx.Variable(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        for layer in self.body:
            x = nnx.relu(layer(x))
        return self.head(x)


def adapted(model, rank=2, **settings):
    rngs = nnx.Rngs(7)
    return nnx.recursive_map(
        lambda path, node: LoRALinear(node, rank, rngs=rngs, **settings) if isinstance(node, nnx.Linear) else node,
        model,
    )


def fill(layer, seed=3):
    """Give the zero half of an adapter numbers."""
    layer.lora_b[...] = jax.random.normal(jax.random.key(seed), layer.lora_b.shape)


def close(got, wanted, tolerance):
    """Compare relative to the largest number."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    assert np.abs(got - wanted).max() <= tolerance * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("name", "shape"),
    [("nnx.Linear", (4,)), ("no bias", (5, 4)), ("Linear", (0, 4)), ("LinearGeneral", (2, 5, 4)), ("MultiParam", (4,))],
)
def test_an_adapter_starts_as_its_base(name, shape):
    base = BASES[name]()
    layer = LoRALinear(base, 2, rngs=nnx.Rngs(1))
    x = jax.random.normal(jax.random.key(2), shape)
    assert layer.base is base
    assert layer(x).shape == (*shape[:-1], 3)
    assert (layer(x) == base(x)).all()
    assert paths(layer, nnx.LoRAParam) == ["lora_a", "lora_b"]
    assert set(paths(layer, nnx.Param)) >= {"lora_a", "lora_b", "base.kernel"}


def test_lora_a_is_normal_with_the_scale_of_a_kernel_and_drawn_from_params():
    base = nnx.Linear(400, 5, rngs=nnx.Rngs(0))
    rngs = nnx.Rngs(params=1, default=2)
    layer = LoRALinear(base, 200, rngs=rngs)
    assert rngs.params.count[...] == 1
    assert rngs.default.count[...] == 0
    draws = layer.lora_a[...] * 400**0.5
    assert abs(draws.mean()) < 0.02
    assert abs(draws.std() - 1) < 0.02
    assert abs((draws**4).mean() - 3) < 0.1  # of a normal distribution


@given(
    st.sampled_from([(1, 1, 1), (4, 3, 2), (2, 5, 6)]),
    st.one_of(st.none(), st.floats(0.125, 64)),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=20, deadline=None)
def test_the_formula_and_the_merge(shape, alpha, seed):
    in_features, out_features, rank = shape
    base = nnx.Linear(in_features, out_features, bias_init=nnx.initializers.ones, rngs=nnx.Rngs(seed))
    layer = LoRALinear(base, rank, alpha=alpha, rngs=nnx.Rngs(1))
    fill(layer)
    x = jax.random.normal(jax.random.key(2), (3, in_features))
    a, b, kernel, inputs = (np.asarray(v[...], np.float64) for v in (layer.lora_a, layer.lora_b, base.kernel, x))
    wanted = inputs @ (kernel + (1 if alpha is None else alpha / rank) * a @ b) + 1
    close(layer(x), wanted, 1e-5)
    close(merge_lora(layer)(x), wanted, 1e-5)


@pytest.mark.parametrize("own", [True, False])
def test_outputs_and_gradients_are_those_of_flax(own):
    base = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    ours = LoRALinear(base, 2, rngs=nnx.Rngs(1))
    fill(ours)
    if own:
        theirs = nnx.LoRA(4, 2, 3, base_module=base, rngs=nnx.Rngs(2))
        lora = theirs
    else:
        theirs = nnx.LoRALinear(4, 3, lora_rank=2, rngs=nnx.Rngs(2))
        nnx.update(theirs, nnx.state(base))
        lora = theirs.lora
    lora.lora_a[...], lora.lora_b[...] = ours.lora_a[...], ours.lora_b[...]
    x = jax.random.normal(jax.random.key(2), (5, 4))
    close(ours(x), theirs(x), 1e-6)
    close(merge_lora(ours)(x), theirs(x), 1e-6)
    wanted = nnx.DiffState(0, nnx.LoRAParam)
    mine, their_grads = (nnx.grad(lambda m: (m(x) ** 3).mean(), argnums=wanted)(model) for model in (ours, theirs))
    for one, other in zip(jax.tree.leaves(mine), jax.tree.leaves(their_grads), strict=True):
        close(one, other, 1e-5)


def test_wrt_lora_param_trains_the_adapter_alone():
    base = Net(nnx.Rngs(0))
    model = adapted(base)
    start, before = nnx.clone(base), nnx.clone(model)
    optimizer = nnx.Optimizer(model, ADAMW, wrt=nnx.LoRAParam)
    step = TraceCounter(lambda model: ((model(jnp.eye(4)) - 1.0) ** 2).mean())
    with jax.numpy_dtype_promotion("standard"):  # Adam raises a float to the power of an int
        losses = [train_step(model, optimizer, step) for _ in range(30)]
    assert step.traces == 1
    assert losses[-1] < losses[0] / 10
    assert unchanged(start, base, ...) == paths(base)
    frozen = [path for path in paths(model) if "lora" not in path]
    assert unchanged(before, model, ...) == frozen
    assert set(paths(optimizer)) == {
        "step",
        "opt_state.0.count",
        *(f"opt_state.0.{moment}.{path}" for moment in ("mu", "nu") for path in paths(model, nnx.LoRAParam)),
    }


def test_the_first_gradient_reaches_lora_b_alone():
    model = LoRALinear(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), 2, rngs=nnx.Rngs(1))
    grads = nnx.grad(lambda m: (m(jnp.ones(4)) ** 2).sum(), argnums=nnx.DiffState(0, nnx.LoRAParam))(model)
    assert (grads["lora_a"][...] == 0).all()
    assert (grads["lora_b"][...] != 0).all()


def test_an_adapter_is_saved_without_its_base():
    base = Net(nnx.Rngs(0))
    model = adapted(base, alpha=4)
    for layer in (*model.body, model.head):
        fill(layer)
    saved = snapshot(model, nnx.LoRAParam)
    fresh = adapted(base, alpha=4)
    assert not jnp.allclose(fresh(jnp.eye(4)), model(jnp.eye(4)))
    restore(fresh, saved)
    assert (fresh(jnp.eye(4)) == model(jnp.eye(4))).all()


def test_a_merge_returns_the_structure_of_the_base_and_leaves_the_model_alone():
    base = Net(nnx.Rngs(0))
    base.body.append(base.body[0])  # used twice
    model = adapted(base)
    for layer in (model.body[0], model.head):
        fill(layer)
    before = nnx.clone(model)
    merged = merge_lora(model)
    close(merged(jnp.eye(4)), model(jnp.eye(4)), 1e-5)
    assert unchanged(before, model, ...) == paths(model)
    assert type(merged) is Net
    assert paths(merged) == paths(base)
    assert merged.body[0] is merged.body[2]
    assert merged.body[0] is not merged.body[1]
    assert shared(merged, model) == []
    alone = ["body.0.bias", "body.1.bias", "count", "head.bias"]
    assert shared(merged, model, buffers=True) == alone
    merged.count[...] += 1
    assert model.count[...] == 0


def test_layers_that_share_a_base_are_merged_apart():
    base = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
    model = nnx.Sequential(LoRALinear(base, 1, rngs=nnx.Rngs(1)), base, LoRALinear(base, 1, rngs=nnx.Rngs(2)))
    fill(model.layers[0])
    fill(model.layers[2], seed=4)
    merged = merge_lora(model)
    close(merged(jnp.eye(4)), model(jnp.eye(4)), 1e-6)
    assert (merged.layers[1].kernel[...] == base.kernel[...]).all()


@pytest.mark.parametrize(("kernel", "dtype"), [("bfloat16", None), ("bfloat16", "bfloat16"), ("float32", "bfloat16")])
def test_half_precision(kernel, dtype):
    base = nnx.Linear(64, 32, param_dtype=kernel, dtype=dtype, rngs=nnx.Rngs(0))
    layer = LoRALinear(base, 2, rngs=nnx.Rngs(1))
    assert layer.lora_a.dtype == layer.lora_b.dtype == jnp.float32
    fill(layer)
    x = jax.random.normal(jax.random.key(2), (3, 64), dtype or kernel)
    wanted = base(x)
    assert layer(x).dtype == wanted.dtype == jnp.dtype(dtype or kernel)
    merged = merge_lora(layer)
    assert merged.kernel.dtype == jnp.dtype(kernel)
    close(merged(x), layer(x), 1e-2)


def test_a_merge_runs_under_nnx_jit():
    model = adapted(Net(nnx.Rngs(0)))
    fill(model.head)
    merged = nnx.jit(merge_lora)(model)
    close(merged(jnp.eye(4)), model(jnp.eye(4)), 1e-5)


def test_layers_stacked_by_vmap_are_merged():
    stacked = nnx.vmap(lambda key: LoRALinear(nnx.Linear(4, 4, rngs=nnx.Rngs(key)), 2, rngs=nnx.Rngs(key)))(
        jax.random.split(jax.random.key(0), 3)
    )
    fill(stacked)
    call = nnx.vmap(lambda layer: layer(jnp.eye(4)))
    close(call(merge_lora(stacked)), call(stacked), 1e-6)


def test_an_abstract_layer_can_be_built():
    model = nnx.eval_shape(lambda: LoRALinear(nnx.Linear(4, 3, rngs=nnx.Rngs(0)), 2, rngs=nnx.Rngs(1)))
    assert model.lora_a.shape == (4, 2)
    assert model.lora_b.shape == (2, 3)


def test_float64_where_it_is_on():
    with jax.enable_x64(True):
        base = nnx.Linear(4, 3, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
        layer = LoRALinear(base, 2, rngs=nnx.Rngs(1))
        fill(layer)
        x = jnp.arange(4.0)
        assert layer.lora_a.dtype == layer(x).dtype == jnp.float64
        close(merge_lora(layer)(x), layer(x), 1e-14)


LAYER = "base must be a layer with a Variable `kernel` of two dimensions, got a "
REMEDY = ": pass one such as nnx.Linear(4, 2, rngs=nnx.Rngs(0))."


@pytest.mark.parametrize(
    ("base", "given"),
    [
        (abs, "builtin_function_or_method with no such kernel"),
        (nnx.Dict(kernel=jnp.ones((4, 2))), "Dict with no such kernel"),
        (nnx.Conv(2, 3, 4, rngs=nnx.Rngs(0)), "Conv with a kernel that is Param float32[4, 2, 3]"),
        (nnx.Dict(kernel=nnx.Param(2.0)), "Dict with a kernel that is Param float32[]"),
    ],
)
def test_the_base_must_have_a_kernel_of_two_dimensions(base, given):
    with pytest.raises(TypeError, match=f"^{re.escape(LAYER + given + REMEDY)}$"):
        LoRALinear(base, 2, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("rank", "alpha", "kind", "message"),
    [
        (0, None, ValueError, "rank must be an int from 1 to 2147483647, got 0: pass a number such as 4."),
        (2.0, None, TypeError, "rank must be an int from 1 to 2147483647, got 2.0 of type float"),
        (2, 0, ValueError, "alpha must be a number above 0, got 0: pass a number such as 8.0."),
        (2, -1.0, ValueError, "alpha must be a number above 0, got -1.0"),
        (2, float("inf"), ValueError, "alpha must be a number above 0, got inf"),
        (2, float("nan"), ValueError, "alpha must be a number above 0, got nan"),
        (2, True, TypeError, "alpha must be a number above 0, got True of type bool: pass a number such as 8.0."),
        (2, "4", TypeError, "alpha must be a number above 0, got '4' of type str"),
    ],
)
def test_rank_and_alpha_must_be_positive_numbers(rank, alpha, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}"):
        LoRALinear(nnx.Linear(4, 2, rngs=nnx.Rngs(0)), rank, alpha=alpha, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("model", [Net(nnx.Rngs(0)), nnx.LoRALinear(4, 2, lora_rank=1, rngs=nnx.Rngs(0))])
def test_a_model_without_an_adapter_cannot_be_merged(model):
    message = f"model must hold a LoRALinear of nnx_state, got none in a {type(model).__name__}: "
    with pytest.raises(ValueError, match=f"^{message}"):
        merge_lora(model)
