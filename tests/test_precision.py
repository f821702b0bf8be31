"""Which dtype a leaf has, what a cast leaves alone, and which updates are rounded away."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from nnx_state import MultiParam, cast, dtypes, rounded_away, snapshot


class Mixed(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.layer = nnx.Linear(3, 2, rngs=rngs)
        self.tied = self.layer
        self.norm = nnx.BatchNorm(2, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.table = nnx.Param(jnp.arange(3), name="table")
        self.count = nnx.Variable(jnp.zeros((), jnp.int32))


def test_every_leaf_has_its_dtype():
    assert dtypes(Mixed()) == {
        "count": "int32",
        "dropout.rngs.count": "uint32",
        "dropout.rngs.key": "key<fry>",
        "layer.bias": "float32",
        "layer.kernel": "float32",
        "norm.bias": "float32",
        "norm.mean": "float32",
        "norm.scale": "float32",
        "norm.var": "float32",
        "table": "int32",
    }


def test_an_abstract_model_and_an_optimizer_have_dtypes():
    assert dtypes(nnx.eval_shape(Mixed)) == dtypes(Mixed())
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(0.1, mu_dtype=jnp.bfloat16), wrt=nnx.Param)
    found = dtypes(optimizer)
    assert (found["opt_state.0.mu.bias"], found["opt_state.0.nu.bias"], found["step"]) == (
        "bfloat16",
        "float32",
        "uint32",
    )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, "float16", np.float16], ids=str)
def test_a_cast_reaches_the_floating_params_alone_and_keeps_the_variables(dtype):
    model = Mixed()
    kernel, before = model.layer.kernel, dtypes(model)
    number = np.array(kernel[...])
    assert cast(model, dtype) == ["layer.bias", "layer.kernel", "norm.bias", "norm.scale"]
    assert model.layer.kernel is model.tied.kernel is kernel
    name = str(jnp.dtype(dtype))
    changed = dict.fromkeys(("layer.bias", "layer.kernel", "norm.bias", "norm.scale"), name)
    assert dtypes(model) == before | changed
    np.testing.assert_allclose(np.asarray(kernel[...], np.float32), number, rtol=2**-8)
    assert model.table.get_metadata("name") == "table"


def test_what_has_the_dtype_already_is_not_named():
    model = Mixed()
    model.layer.bias.set_value(model.layer.bias.astype(jnp.bfloat16))
    assert "layer.bias" not in cast(model, jnp.bfloat16)
    assert cast(model, jnp.bfloat16) == []


def test_a_filter_chooses_what_is_cast():
    model = Mixed()
    assert cast(model, jnp.bfloat16, nnx.BatchStat) == ["norm.mean", "norm.var"]
    assert cast(model, jnp.float16, nnx.Variable) == [path for path, name in dtypes(model).items() if name == "float16"]


def test_what_cannot_be_cast_is_refused_and_nothing_is_changed():
    model = Mixed()
    before = dtypes(model)
    with pytest.raises(TypeError, match=r"must be a floating one such as jnp.bfloat16, got int8"):
        cast(model, jnp.int8)
    with pytest.raises(ValueError, match=r"must match a leaf of Mixed, .* matches none"):
        cast(model, jnp.bfloat16, nnx.Cache)
    assert dtypes(model) == before
    model.plain = jnp.ones(2)
    with pytest.raises(ValueError, match="got a plain array at plain: wrap it"):
        cast(model, jnp.bfloat16, ...)
    assert dtypes(model) == before | {"plain": "float32"}


def step(dtype, rate):
    model = nnx.Dict(w=nnx.Param(jnp.array([1.0, 0.001, 1.0], dtype)))
    optimizer = nnx.Optimizer(model, optax.sgd(rate), wrt=nnx.Param)
    before = snapshot(model, nnx.Param)
    updates = optimizer.update(model, nnx.State({"w": nnx.Param(jnp.array([1.0, 1.0, 0.0], dtype))}))
    return before, model, updates


@pytest.mark.parametrize(
    ("dtype", "rate", "share"), [("float32", 1e-3, 0.0), ("bfloat16", 1e-3, 0.5), ("bfloat16", 1e-6, 1.0)]
)
def test_the_share_that_was_rounded_away(dtype, rate, share):
    assert rounded_away(*step(jnp.dtype(dtype), rate)) == {"w": share}


def test_without_an_update_nothing_was_rounded_away():
    before, model, updates = step(jnp.bfloat16, 1e-3)
    assert rounded_away(before, model, jax.tree.map(jnp.zeros_like, updates)) == {"w": 0.0}


def test_updates_of_another_model_are_refused():
    before, model, updates = step(jnp.bfloat16, 1e-3)
    with pytest.raises(ValueError, match="before must have the leaves of the updates, it lacks w"):
        rounded_away(nnx.State({}), model, updates)
    with pytest.raises(ValueError, match="after must have the leaves of the updates, it lacks w"):
        rounded_away(before, nnx.Dict(), updates)
