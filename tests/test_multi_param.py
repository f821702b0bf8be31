"""The layer with two Params and a Variable, and the function that the exercise asks for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import Linear, MultiParam, multi_param_forward

X = jnp.array([1.0, -2.0, 3.0, 0.5])
DTYPES = ["float16", "bfloat16", "float32", "int8", "int32"]
seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from([1, 2, 5])
values = st.sampled_from([-7, -3, -1, 0, 1, 2, 5])  # exact in every dtype


def reference(seed, x, features):
    """Return the output in float64 from a kernel made without nnx: its key is the first of the stream."""
    x = np.asarray(x).astype(np.float64)
    normal = jax.random.normal(jax.random.fold_in(jax.random.key(seed), 0), (x.size, features))
    return x @ (np.asarray(normal, np.float64) / np.sqrt(x.size))


def assert_same_bits(left, right):
    assert (left.shape, left.dtype) == (right.shape, right.dtype)
    assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


@given(seeds, st.lists(values, min_size=1, max_size=3), sizes, st.sampled_from(DTYPES))
def test_forward_matches_linear_and_the_formula(seed, numbers, features, dtype):
    x = jnp.array(numbers).astype(dtype)
    y = multi_param_forward(float(seed), x, float(features))
    assert (y.shape, y.dtype, y.weak_type) == ((features,), jnp.float32, False)
    layer = Linear(len(numbers), features, rngs=nnx.Rngs(seed))
    assert_same_bits(y, layer(x.astype(jnp.float32)) + 0.0)  # adding a bias of zero turns -0.0 into 0.0
    np.testing.assert_allclose(y, reference(seed, x, features), rtol=1e-5, atol=1e-5)


@given(seeds, sizes, sizes)
def test_module_is_linear_plus_a_bias(seed, in_features, out_features):
    model = MultiParam(in_features, out_features, rngs=nnx.Rngs(seed))
    layer = Linear(in_features, out_features, rngs=nnx.Rngs(seed))
    assert_same_bits(model.kernel[...], layer.kernel[...])
    x = jnp.arange(1.0, in_features + 1)
    model.bias[...] = jnp.arange(1.0, out_features + 1)
    assert_same_bits(model(x), layer(x) + model.bias[...])


@pytest.mark.parametrize("transform", [jax.jit, nnx.jit], ids=["jax.jit", "nnx.jit"])
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_compiled_forward_matches_the_formula(transform, seed):
    compiled = transform(multi_param_forward, static_argnums=(0, 2))
    np.testing.assert_allclose(compiled(float(seed), X, 3.0), reference(seed, X, 3), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outer", [lambda function: function, jax.jit], ids=["vmap", "jit(vmap)"])
def test_mapped_forward_treats_each_example_alone(outer):
    batch = jnp.stack([X, -X, X + 1, jnp.zeros(4)])
    mapped = outer(jax.vmap(lambda x: multi_param_forward(5.0, x, 3.0)))(batch)
    expected = [reference(5, x, 3) for x in batch]
    np.testing.assert_allclose(mapped, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("transform", [nnx.jit, jax.jit], ids=["nnx.jit", "jax.jit"])
def test_compiled_module_equals_the_eager_one(transform):
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(transform(lambda model, x: model(x))(model, X), model(X), rtol=1e-6)
    assert model.count[...] == 0.0


def test_split_and_merge_keep_the_output():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    graphdef, params, rest = nnx.split(model, nnx.Param, nnx.Variable)
    assert (list(params), list(rest)) == (["bias", "kernel"], ["count"])
    assert_same_bits(nnx.merge(graphdef, params, rest)(X), model(X))


def test_a_batch_goes_through_the_module():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    model.bias[...] = jnp.array([1.0, 2.0])
    batch = jnp.ones((2, 3, 4))
    with jax.numpy_rank_promotion("allow"):  # the bias is meant to meet every example
        y = model(batch)
    assert y.shape == (2, 3, 2)
    np.testing.assert_allclose(y, jax.vmap(jax.vmap(model))(batch), rtol=1e-6)


def test_each_leaf_has_its_type():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    leaves = {"kernel": model.kernel, "bias": model.bias, "count": model.count}
    assert {name: type(leaf) for name, leaf in leaves.items()} == {
        "kernel": nnx.Param,
        "bias": nnx.Param,
        "count": nnx.Variable,
    }
    assert {name: leaf.shape for name, leaf in leaves.items()} == {"kernel": (4, 2), "bias": (2,), "count": ()}
    assert {leaf.dtype for leaf in leaves.values()} == {jnp.dtype("float32")}
    assert [leaf[...].weak_type for leaf in leaves.values()] == [False, False, True]  # jnp.array(0.0) is weak
    assert not model.bias[...].any()


def test_filters_tell_the_trained_from_the_carried():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    assert list(nnx.state(model)) == list(nnx.state(model, nnx.Variable)) == ["bias", "count", "kernel"]
    assert list(nnx.state(model, nnx.Param)) == ["bias", "kernel"]
    assert list(nnx.state(model, nnx.Not(nnx.Param))) == ["count"]
    assert list(nnx.grad(lambda model: model(X).sum())(model)) == ["bias", "kernel"]


def test_forward_leaves_the_whole_state_alone():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    model.count[...] = 7.0
    variable, before = model.count, nnx.to_pure_dict(nnx.clone(nnx.state(model)))
    model(X)
    nnx.jit(lambda model: model(X))(model)
    assert model.count is variable
    after = nnx.to_pure_dict(nnx.state(model))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, before, after))
    assert list(after) == ["bias", "count", "kernel"]


@pytest.mark.parametrize(
    "x",
    [
        [1.0, -2.0, 3.0, 0.5],
        (1, -2, 3, 0.5),
        [jnp.float32(1), np.float64(-2), 3, 0.5],
        np.array([1, -2, 3, 0.5]),
        np.array([1, -2, 3, 0.5], np.float16),
        np.asarray(X, jnp.bfloat16),
        X.astype(jnp.float8_e4m3fn),
        nnx.Variable(X),
    ],
    ids=["list", "tuple", "mixed list", "float64", "float16", "bfloat16", "float8", "Variable"],
)
def test_every_kind_of_real_vector_gives_the_same_bits(x):
    assert_same_bits(multi_param_forward(3.0, x, 2.0), multi_param_forward(3.0, X, 2.0))


@pytest.mark.parametrize(
    "x", [np.array([2**40, 1]), [2**40, 1], np.array([2**40, 1], np.uint64)], ids=["int64", "list", "uint64"]
)
def test_a_64_bit_integer_does_not_wrap(x):
    assert_same_bits(multi_param_forward(0, x, 2), multi_param_forward(0, jnp.array([2.0**40, 1.0]), 2))


def test_x64_gives_float64():
    with jax.enable_x64(True):
        assert multi_param_forward(0, X, 2).dtype == jnp.float64


@pytest.mark.parametrize("seed", [3, 3.0, np.float32(3), np.int64(3), np.array(3.0), jnp.array(3), jnp.bfloat16(3)])
def test_every_kind_of_whole_number_gives_the_same_bits(seed):
    assert_same_bits(multi_param_forward(seed, X, seed), multi_param_forward(3.0, X, 3.0))


def test_the_range_of_seeds_ends_where_keys_repeat():
    def bits(seed):
        return jax.random.key_data(jax.random.key(seed)).tolist()

    assert bits(2**32) == bits(0)
    assert bits(-1) == bits(2**32 - 1) != bits(2**31 - 1)


SEED = "seed must be a whole number from 0 to 4294967295, as an int or a float"
FEATURES = "features must be a whole number from 1 to 2147483647, as an int or a float"
VECTOR = "x must be a non-empty 1-D array or list of real numbers"


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"seed": 0.5}, ValueError, f"{SEED}, got 0.5: pass a number such as 2.0."),
        ({"seed": float("nan")}, ValueError, f"{SEED}, got nan: pass a number such as 2.0."),
        ({"seed": -1.0}, ValueError, f"{SEED}, got -1.0: choose one in this range."),
        ({"seed": 2.0**32}, ValueError, f"{SEED}, got 4294967296.0: choose one in this range."),
        ({"seed": True}, TypeError, f"{SEED}, got True of type bool: pass a number such as 2.0."),
        ({"seed": np.True_}, TypeError, f"{SEED}, got np.True_ of type bool: pass a number such as 2.0."),
        ({"seed": None}, TypeError, f"{SEED}, got None of type NoneType: pass a number such as 2.0."),
        ({"seed": "0"}, TypeError, f"{SEED}, got '0' of type str: pass a number such as 2.0."),
        ({"seed": 1j}, TypeError, f"{SEED}, got 1j of type complex: pass a number such as 2.0."),
        ({"seed": np.array([3])}, TypeError, f"{SEED}, got array([3]) of type ndarray: pass a number such as 2.0."),
        (
            {"seed": jax.random.key(0)},
            TypeError,
            f"{SEED}, got {jax.random.key(0)!r} of type PRNGKeyArray: pass a number such as 2.0.",
        ),
        ({"features": 0.0}, ValueError, f"{FEATURES}, got 0.0: choose one in this range."),
        ({"features": -2}, ValueError, f"{FEATURES}, got -2: choose one in this range."),
        ({"features": 1e30}, ValueError, f"{FEATURES}, got 1e+30: choose one in this range."),
        ({"features": 2.5}, ValueError, f"{FEATURES}, got 2.5: pass a number such as 2.0."),
        ({"features": float("nan")}, ValueError, f"{FEATURES}, got nan: pass a number such as 2.0."),
        ({"features": float("inf")}, ValueError, f"{FEATURES}, got inf: pass a number such as 2.0."),
        ({"features": [2]}, TypeError, f"{FEATURES}, got [2] of type list: pass a number such as 2.0."),
        ({"x": 1.0}, ValueError, f"{VECTOR}, got shape (): pass one example, or map over many with jax.vmap."),
        (
            {"x": jnp.ones((2, 4))},
            ValueError,
            f"{VECTOR}, got shape (2, 4): pass one example, or map over many with jax.vmap.",
        ),
        ({"x": []}, ValueError, f"{VECTOR}, got shape (0,): pass at least one number."),
        ({"x": ["1"]}, TypeError, f"{VECTOR}, got dtype <U1: convert it to float32 first."),
        ({"x": None}, TypeError, f"{VECTOR}, got dtype object: convert it to float32 first."),
        ({"x": jnp.array([True])}, TypeError, f"{VECTOR}, got dtype bool: convert it to float32 first."),
        ({"x": [1j]}, TypeError, f"{VECTOR}, got dtype complex128: convert it to float32 first."),
        ({"x": jax.random.key(0)}, TypeError, f"{VECTOR}, got dtype key<fry>: convert it to float32 first."),
        (
            {"x": np.array([1], "timedelta64[s]")},
            TypeError,
            f"{VECTOR}, got dtype timedelta64[s]: convert it to float32 first.",
        ),
        ({"x": [[1], [1, 2]]}, TypeError, f"{VECTOR}, got a list that is not an array: convert it first."),
    ],
)
def test_a_bad_argument_is_named(changed, error, message):
    with pytest.raises(error) as caught:
        multi_param_forward(**({"seed": 0.0, "x": X, "features": 2.0} | changed))
    assert str(caught.value) == message


@pytest.mark.parametrize("transform", [jax.jit, nnx.jit, jax.vmap], ids=["jax.jit", "nnx.jit", "jax.vmap"])
@pytest.mark.parametrize(("name", "accepted"), [("seed", SEED), ("features", FEATURES)])
def test_a_traced_number_is_refused_with_the_remedy(transform, name, accepted):
    arguments = {"seed": 0.0, "x": X, "features": 2.0}
    traced = transform(lambda number: multi_param_forward(**(arguments | {name: number})))
    with pytest.raises(TypeError) as caught:
        traced(jnp.ones(3) if transform is jax.vmap else 1.0)
    assert str(caught.value) == (
        f"{accepted}, got a traced value: mark it static, for example with static_argnames='{name}'."
    )


@pytest.mark.parametrize(("shape", "given_shape"), [((2, 4), "(2, 4)"), ((), "()")])
def test_a_traced_x_is_checked_by_its_shape(shape, given_shape):
    with pytest.raises(ValueError, match="pass one example") as caught:
        jax.jit(lambda x: multi_param_forward(0.0, x, 2.0))(jnp.ones(shape))
    assert f"got shape {given_shape}:" in str(caught.value)


def test_a_list_of_traced_numbers_is_refused():
    with pytest.raises(TypeError) as caught:
        jax.jit(lambda number: multi_param_forward(0.0, [number, number], 2.0))(1.0)
    assert str(caught.value) == f"{VECTOR}, got a list that is not an array: convert it first."


@pytest.mark.parametrize(
    ("given_sizes", "name"), [((0, 2), "in_features"), ((4, 0), "out_features")], ids=["in_features", "out_features"]
)
def test_a_size_of_zero_is_named(given_sizes, name):
    with pytest.raises(ValueError, match="pass a number such as 4") as caught:
        MultiParam(*given_sizes, rngs=nnx.Rngs(0))
    assert str(caught.value) == f"{name} must be an int from 1 to 2147483647, got 0: pass a number such as 4."
