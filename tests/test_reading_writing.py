"""The guarded write, and the check for Variables that were replaced."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import MultiParam, assign, replaced_variables, variable_types

DTYPES = ["bool", "int8", "int32", "uint32", "bfloat16", "float16", "float32", "complex64"]
SCALAR = jnp.array(0, jnp.int32)
ROW = jnp.zeros(3)


@given(st.sampled_from(DTYPES), st.sampled_from(DTYPES), st.sampled_from([(), (1,), (3,), (1, 3)]))
def test_an_array_is_written_if_and_only_if_dtype_and_shape_agree(held, given_dtype, shape):
    variable = nnx.Variable(jnp.zeros((3,), held))
    if (given_dtype, shape) == (held, (3,)):
        assign(variable, jnp.ones(shape, given_dtype))
        assert (variable[...] == jnp.ones((), held)).all()
    else:
        with pytest.raises(TypeError if given_dtype != held else ValueError):
            assign(variable, jnp.ones(shape, given_dtype))
        assert not variable[...].any()
    assert (variable.shape, variable.dtype) == ((3,), jnp.dtype(held))


@pytest.mark.parametrize("transform", [lambda function: function, nnx.jit], ids=["eager", "nnx.jit"])
@pytest.mark.parametrize(
    ("held", "value"),
    [
        (SCALAR, 3),
        (SCALAR, True),
        (SCALAR, jnp.array(3, jnp.int32)),
        (SCALAR, np.int32(3)),
        (SCALAR, nnx.Param(jnp.array(3, jnp.int32))),
        (jnp.array(0.0, jnp.bfloat16), 3),
        (jnp.array(0.0, jnp.float32), jnp.array(3.0)),
        (jnp.array(False), True),
        (ROW, np.arange(3, dtype=np.float32)),
    ],
)
def test_what_fits_is_written_in_place(transform, held, value):
    variable = nnx.Variable(held)
    holder = variable
    transform(lambda variable: assign(variable, value))(variable)
    read = value[...] if isinstance(value, nnx.Variable) else value
    assert jnp.array_equal(holder[...], jnp.asarray(read, held.dtype))
    assert (holder.shape, holder.dtype, holder[...].weak_type) == (held.shape, held.dtype, False)


def test_a_traced_value_is_written_and_a_key_too():
    variable = nnx.Variable(ROW)
    nnx.jit(assign)(variable, ROW + 2.0)
    assert variable[...].tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(TypeError, match="got int32"):
        nnx.jit(assign)(variable, jnp.arange(3))
    key = nnx.Variable(jax.random.key(0))
    assign(key, jax.random.key(1))
    assert (jax.random.key_data(key[...]) == jax.random.key_data(jax.random.key(1))).all()


def test_a_write_of_its_own_dtype_does_not_retrace():
    traces = []

    @nnx.jit
    def step(count):
        traces.append(count.dtype)
        assign(count, count + 1)

    count = nnx.Variable(jnp.array(0, jnp.int32))
    for _ in range(3):
        step(count)
    assert (len(traces), count[...]) == (1, 3)


VARIABLE = "variable must be an nnx.Variable that holds a JAX array"
DTYPE = "convert it with .astype, or change the dtype on purpose with set_value."
SHAPE = "fill it with jnp.full_like, or change the shape on purpose with set_value."


@pytest.mark.parametrize(
    ("variable", "value", "error", "message"),
    [
        (SCALAR, 1, TypeError, f"{VARIABLE}, got ArrayImpl: pass model.count, not model.count[...]."),
        (nnx.Variable(0), 1, TypeError, f"{VARIABLE}, got one that holds int: build it from jnp.array(0)."),
        (
            nnx.Variable(SCALAR),
            [1],
            TypeError,
            "value must be an array or a number, got list: convert it with jnp.asarray.",
        ),
        (
            nnx.Variable(SCALAR),
            2.7,
            TypeError,
            f"value must fit the dtype int32 of the Variable, got float32: {DTYPE}",
        ),
        (
            nnx.Variable(ROW),
            np.zeros(3),
            TypeError,
            f"value must fit the dtype float32 of the Variable, got float64: {DTYPE}",
        ),
        (
            nnx.Variable(ROW),
            1j,
            TypeError,
            f"value must fit the dtype float32 of the Variable, got complex64: {DTYPE}",
        ),
        (nnx.Variable(ROW), 1.0, ValueError, f"value must have the shape (3,) of the Variable, got (): {SHAPE}"),
        (
            nnx.Variable(ROW),
            jnp.ones((1, 3)),
            ValueError,
            f"value must have the shape (3,) of the Variable, got (1, 3): {SHAPE}",
        ),
    ],
)
def test_a_bad_write_is_named(variable, value, error, message):
    with pytest.raises(error) as caught:
        assign(variable, value)
    assert str(caught.value) == message


def test_an_int_out_of_range_is_refused():
    small = nnx.Variable(jnp.array(7, jnp.int8))
    with pytest.raises(OverflowError, match="300 out of bounds for int8"):
        assign(small, 300)
    assert small[...] == 7


class Model(nnx.Module):
    def __init__(self):
        self.first = MultiParam(4, 2, rngs=nnx.Rngs(0))
        self.parts = nnx.List([nnx.Param(ROW), ROW])
        self.second = MultiParam(4, 2, rngs=nnx.Rngs(1))
        self.tied = self.first
        self.whole = self  # a cycle
        self.steps = 3


def test_each_variable_is_recorded_once():
    layer = {"bias": nnx.Param, "count": nnx.Variable, "kernel": nnx.Param}
    expected = {f"{name}.{key}": kind for name in ("first", "second") for key, kind in layer.items()}
    assert variable_types(Model()) == expected | {"parts.0": nnx.Param}


def test_each_kind_of_replacement_is_named():
    model = Model()
    types = variable_types(model)
    assert replaced_variables(model, types) == {}
    model.second = MultiParam(4, 2, rngs=nnx.Rngs(2))  # other objects of the same classes
    model.parts[1] = nnx.Variable(ROW)  # it was no Variable before
    model.first.count[...] += 1
    model.first.kernel.set_value(ROW)
    assert replaced_variables(model, types) == {}
    model.tied.bias = model.first.bias + 1
    model.second.kernel = nnx.Variable(ROW)
    del model.second.count
    model.parts[0] = ROW
    assert replaced_variables(model, types) == {
        "first.bias": "Param, now no Variable",
        "parts.0": "Param, now no Variable",
        "second.count": "Variable, now no Variable",
        "second.kernel": "Param, now Variable",
    }


@pytest.mark.parametrize("transform", [nnx.jit, jax.jit], ids=["nnx.jit", "jax.jit"])
def test_a_replacement_is_seen_during_a_trace(transform):
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    types, seen = variable_types(model), []

    def step(model):
        model.bias = model.bias - 1
        seen.append(replaced_variables(model, types))

    transform(step)(model)
    assert seen == [{"bias": "Param, now no Variable"}]


def test_the_plain_writes_lose_what_assign_refuses():
    small = nnx.Variable(jnp.array(0, jnp.int8))
    with jax.numpy_dtype_promotion("standard"), warnings.catch_warnings():
        warnings.simplefilter("error")
        small[...] = jnp.array(300)
    assert (small[...], small.dtype) == (44, jnp.int8)
