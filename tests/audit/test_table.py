"""The rows of the table of a model's values."""

import functools

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from nnx_state.audit import table


@pytest.mark.parametrize("make", [nnx.Param, nnx.Variable, nnx.BatchStat, jnp.asarray])
def test_a_static_attribute_that_holds_an_array_has_one_row_which_says_that_it_is_hidden(make):
    model = nnx.Module()
    model.held, model.size = None, 3
    object.__setattr__(model, "held", make(jnp.ones(2)))  # past what makes an attribute data
    assert [(row.path, row.home) for row in table(model)] == [("size", "static"), ("held", "hidden")]


@pytest.mark.parametrize("value", [jnp.float32, jax.make_mesh((1,), ("rows",)), 3, None])
def test_what_has_a_dtype_or_a_shape_alone_is_no_array(value):
    (row,) = table(nnx.Dict(held=nnx.Variable(value)))
    assert (row.arrays, row.nbytes) == ([], 0)


def test_what_is_hidden_comes_last_sorted_by_its_path():
    model = nnx.Module()
    inner = functools.partial(max, b=jnp.ones(1), a=nnx.Param(jnp.ones(1)))
    model.kept = functools.partial(max, second=jnp.ones(1), first=inner)
    model.array = jnp.ones(1)
    model.count = functools.partial(max, key=jnp.ones(1))
    hidden = [(row.path, row.home) for row in table(model) if row.home != "static"]
    names = ["count.key", "kept.first.a", "kept.first.b", "kept.second"]
    assert hidden == [("array", "array"), *((name, "hidden") for name in names)]


@pytest.mark.parametrize("kind", [nnx.Param, nnx.BatchStat])
def test_the_array_of_a_variable_that_is_a_value_of_jax_itself_is_the_one_inside(kind):
    (row,) = table(nnx.Dict(held=kind(jnp.ones(2), hijax=True)))
    assert [type(array) for array in row.arrays] == [type(jnp.ones(2))]
