"""Decoding with a cache: equal to the full pass, never wrong in silence, and what is done to a cache in between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx_state import CachedAttention, TraceCounter, paths, reorder_cache, reset_cache, restore, snapshot, unchanged

NAMES = ["cache_index", "cached_key", "cached_value"]
KERNELS = ["to_key", "to_output", "to_query", "to_value"]


FULL, STEP = nnx.jit(CachedAttention.__call__), nnx.jit(CachedAttention.decode)  # compiled once for all tests


def made(features=8, heads=2, batch=2, length=5):
    layer = CachedAttention(features, heads, rngs=nnx.Rngs(0))
    layer.init_cache(batch, length)
    return layer


def give_kernels(layer, library):
    """Write the kernels of our layer into one of the library."""
    pairs = (layer.to_query, library.query), (layer.to_key, library.key), (layer.to_value, library.value)
    for ours, theirs in (*pairs, (layer.to_output, library.out)):
        theirs.kernel[...] = ours.kernel[...]


def tokens(batch=2, length=5, features=8, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(batch, length, features)), jnp.float32)


def close(left, right):
    np.testing.assert_allclose(left, right, rtol=0, atol=1e-5)


def by_hand(layer, x):
    """Return the full pass in float64 by NumPy, one head, one query and one key at a time."""
    query, key, value, out = (
        np.asarray(kernel[...], np.float64)
        for kernel in (layer.to_query.kernel, layer.to_key.kernel, layer.to_value.kernel, layer.to_output.kernel)
    )
    y = np.zeros(x.shape)
    for b, sequence in enumerate(np.asarray(x, np.float64)):
        for h in range(layer.heads):
            q, k, v = (sequence @ kernel[:, h] for kernel in (query, key, value))
            for i in range(len(sequence)):
                scores = np.array([q[i] @ k[j] / np.sqrt(q.shape[1]) for j in range(i + 1)])
                weights = np.exp(scores) / np.exp(scores).sum()
                y[b, i] += weights @ v[: i + 1] @ out[h]
    return y


@pytest.mark.parametrize(("features", "heads"), [(8, 2), (3, 1)])
def test_the_full_pass_is_the_formula_and_that_of_the_library(features, heads):
    layer = CachedAttention(features, heads, rngs=nnx.Rngs(0))
    x = tokens(features=features)
    close(layer(x), by_hand(layer, x))
    attended = jax.nn.dot_product_attention(layer.to_query(x), layer.to_key(x), layer.to_value(x), is_causal=True)
    close(layer(x), layer.to_output(attended))
    library = nnx.MultiHeadAttention(heads, features, use_bias=False, decode=False, rngs=nnx.Rngs(1))
    give_kernels(layer, library)
    close(layer(x), library(x, mask=nnx.make_causal_mask(x[..., 0])))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=2), st.sampled_from([CachedAttention.decode, STEP]))
@settings(max_examples=8, deadline=None)
def test_decoding_in_any_pieces_is_the_full_pass(pieces, decode):
    layer, x = made(length=6), tokens(length=6)
    start = 0
    for size in pieces:
        close(decode(layer, x[:, start : start + size]), FULL(layer, x)[:, start : start + size])
        start += size
    assert layer.cache_index[...] == start


def test_decoding_is_that_of_the_library():
    layer, x = made(), tokens()
    library = nnx.MultiHeadAttention(2, 8, use_bias=False, decode=True, rngs=nnx.Rngs(1))
    give_kernels(layer, library)
    library.init_cache(x.shape)
    for i in range(5):
        close(layer.decode(x[:, i : i + 1]), library(x[:, i : i + 1]))
        for name in NAMES:
            close(getattr(layer, name)[...], getattr(library, name)[...])
            assert getattr(layer, name).dtype == getattr(library, name).dtype


def test_later_tokens_do_not_change_earlier_outputs():
    layer, x = made(), tokens()
    close(FULL(layer, x)[:, :3], FULL(layer, x.at[:, 3:].set(1e3))[:, :3])


def test_the_full_pass_leaves_the_cache_alone():
    layer = made()
    layer.decode(tokens(length=2))
    before = nnx.clone(layer)
    FULL(layer, tokens())
    assert unchanged(before, layer, nnx.Cache) == NAMES


def test_one_trace_serves_all_tokens_and_keeps_the_variables():
    layer, x = made(), tokens()
    variables = [getattr(layer, name) for name in NAMES]
    step = nnx.jit(TraceCounter(CachedAttention.decode, at_most=1))
    for i in range(5):
        step(layer, x[:, i : i + 1])
    assert [getattr(layer, name) for name in NAMES] == variables
    assert layer.cache_index[...] == 5
    assert all(type(variable) is nnx.Cache for variable in variables)


def test_a_loop_of_nnx_decodes_too():
    layer, x = made(), tokens()

    def body(i, carry):
        layer, y = carry
        part = layer.decode(jax.lax.dynamic_slice_in_dim(x, i, 1, axis=1))
        return layer, jax.lax.dynamic_update_slice_in_dim(y, part, i, axis=1)

    layer, y = nnx.fori_loop(0, 5, body, (layer, jnp.zeros_like(x)))
    close(y, FULL(layer, x))
    assert layer.cache_index[...] == 5


@pytest.mark.parametrize("new", [1, 5])
def test_a_full_cache_raises_and_nothing_is_written(new):
    layer = made()
    layer.decode(tokens())
    before = nnx.clone(layer)
    with pytest.raises(ValueError, match=f"^the cache must hold {5 + new} tokens, got one of length 5:"):
        layer.decode(tokens(length=new))
    assert unchanged(before, layer, ...) == paths(layer, ...)


def test_a_full_cache_gives_nan_when_compiled_and_keeps_its_tokens():
    layer, x = made(length=3), tokens(length=6)
    full = FULL(layer, x)
    step = STEP
    layer.decode(x[:, :2])
    y = step(layer, x[:, 2:4])  # room for the first of two
    close(y[:, 0], full[:, 2])
    assert jnp.isnan(y[:, 1]).all()
    kept = layer.cached_key[...], layer.cached_value[...]
    close(kept[0], layer.to_key(x[:, :3]))
    close(kept[1], layer.to_value(x[:, :3]))
    for index in (5, 6):
        assert jnp.isnan(step(layer, x[:, 4:5])).all()
        assert layer.cache_index[...] == index
    assert (layer.cached_key[...] == kept[0]).all()
    assert (layer.cached_value[...] == kept[1]).all()
    with pytest.raises(ValueError, match=r"^the cache must hold 6 tokens, got one of length 3"):
        layer.require_room(0)
    reset_cache(layer)
    close(step(layer, x[:, :1]), full[:, :1])


@pytest.mark.parametrize("tokens_left", [0, 2])
def test_require_room_agrees_with_decode(tokens_left):
    layer = made(length=5)
    STEP(layer, tokens(length=5 - tokens_left))
    layer.require_room(tokens_left)
    for more in (tokens_left + 1, 2**31 - 1):
        with pytest.raises(ValueError, match=f"^the cache must hold {5 - tokens_left + more} tokens"):
            layer.require_room(more)
    if tokens_left:
        layer.require_room()
        layer.decode(tokens(length=tokens_left))
    with pytest.raises(ValueError, match=r"^the cache must hold 6 tokens"):
        layer.require_room()


def test_require_room_cannot_be_traced():
    with pytest.raises(TypeError, match="got a traced cache_index: call it outside of jit"):
        nnx.jit(CachedAttention.require_room)(made())


@pytest.mark.parametrize("shape", [(8,), (5, 8), (2, 5, 7), (1, 2, 5, 8)])
def test_the_shape_of_tokens_is_checked(shape):
    layer = made()
    for call, batch in ((layer, "batch"), (layer.decode, 2)):
        with pytest.raises(ValueError, match="pass one vector for each token") as caught:
            call(jnp.ones(shape))
        assert f"x must have shape ({batch}, tokens, 8), got {shape}:" in str(caught.value)


@pytest.mark.parametrize("batch", [1, 3])
def test_decode_wants_the_batch_of_the_cache(batch):
    with pytest.raises(ValueError, match=r"^x must have shape \(2, tokens, 8\)"):
        made().decode(tokens(batch=batch))


@pytest.mark.parametrize("use", [CachedAttention.require_room, lambda layer: layer.decode(tokens())])
def test_a_cache_is_needed_before_and_after(use):
    layer = CachedAttention(8, 2, rngs=nnx.Rngs(0))
    for prepare in (lambda: None, lambda: (layer.init_cache(2, 5), nnx.pop(layer, nnx.Cache))):
        prepare()
        assert not nnx.state(layer, nnx.Cache)
        with pytest.raises(ValueError, match=r"^the layer must have a cache, got none: call init_cache"):
            use(layer)


def test_init_cache_under_nnx_jit_arrives():
    layer, x = CachedAttention(8, 2, rngs=nnx.Rngs(0)), tokens()

    @nnx.jit
    def begin(layer, x):
        layer.init_cache(*x.shape[:2])
        return layer.decode(x[:, :2])

    close(begin(layer, x), FULL(layer, x)[:, :2])
    close(layer.decode(x[:, 2:]), FULL(layer, x)[:, 2:])


def test_jax_jit_forgets_the_cache():
    layer, x = made(), tokens()
    step = jax.jit(CachedAttention.decode)
    for i in range(2):
        y = step(layer, x[:, i : i + 1])
    assert layer.cache_index[...] == 0
    assert jnp.abs(y[:, 0] - FULL(layer, x)[:, 1]).max() > 0.01


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({"features": 2.0}, TypeError, "features must be an int"),
        ({"features": 0}, ValueError, "features must be an int"),
        ({"heads": True}, TypeError, "heads must be an int"),
        ({"heads": 9}, ValueError, "heads must divide features, got 9 heads for 8 features"),
        ({"batch": 0}, ValueError, "batch must be an int"),
        ({"length": None}, TypeError, "length must be an int"),
    ],
)
def test_sizes_are_checked(sizes, error, message):
    with pytest.raises(error, match=f"^{message}"):
        made(**sizes)


def test_what_trains_leaves_the_cache_alone():
    layer = made()
    x = tokens(length=2)
    grads = nnx.jit(nnx.grad(lambda layer: layer.decode(x).sum()))(layer)
    assert set(grads) == set(KERNELS)
    assert layer.cache_index[...] == 2  # nnx.grad writes back what the forward pass wrote
    with pytest.raises(TypeError, match="got int32"):
        jax.grad(lambda layer: layer(x).sum())(layer)


def library(batch=2, length=5):
    layer = nnx.MultiHeadAttention(2, 8, decode=True, rngs=nnx.Rngs(0))
    layer.init_cache((batch, length, 8))
    return layer


class Stack(nnx.Module):
    """Two layers of different classes, and a Cache that holds a tree."""

    def __init__(self):
        self.layers = nnx.List([made(), library()])
        self.tree = nnx.Cache({"rows": jnp.arange(4.0).reshape(2, 2), "ints": jnp.arange(2), "scalar": jnp.ones(())})

    def decode(self, x):
        return self.layers[1](self.layers[0].decode(x))


def caches(model):
    return dict(nnx.to_flat_state(nnx.state(model, nnx.Cache)))


def test_a_reset_reaches_every_cache_in_place():
    model, x = Stack(), tokens()
    variables, weights = caches(model), snapshot(model, nnx.Param)
    first = model.decode(x[:, :1])
    model.decode(x[:, 1:2])
    reset_cache(model)
    for path, cache in caches(model).items():
        assert cache is variables[path]
        assert not any(array.any() for array in jax.tree.leaves(cache))
    assert unchanged(weights, model) == sorted(paths(model, nnx.Param))
    assert (model.decode(x[:, :1]) == first).all()


def test_a_reset_forgets_nan():
    layer, x = made(), tokens()
    layer.decode(jnp.full(x.shape, jnp.nan))
    layer.cache_index[...] = jnp.zeros((), jnp.int32)  # the index alone is not enough
    assert jnp.isnan(layer.decode(x[:, :1])).all()
    reset_cache(layer)
    close(layer.decode(x), FULL(layer, x))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("order", [[1, 1], [0, 1, 0]])
def test_sequences_go_on_from_others(order, compiled):
    model, x = Stack(), tokens()
    for i in range(3):
        model.decode(x[:, i : i + 1])
    variables, tree = caches(model), model.tree.get_value()
    rows = jnp.array(order)
    (nnx.jit(reorder_cache) if compiled else reorder_cache)(model, rows)
    assert all(cache is variables[path] for path, cache in caches(model).items())
    assert model.layers[0].cache_index[...] == model.layers[1].cache_index[...] == 3
    other = Stack()
    for layer in other.layers:
        layer.init_cache(*((len(order), 5) if isinstance(layer, CachedAttention) else ((len(order), 5, 8),)))
    for i in range(4):
        y = other.decode(x[rows, i : i + 1])
    close(model.decode(x[rows, 3:4]), y)
    moved = model.tree.get_value()
    assert moved["scalar"] == 1.0
    assert (moved["rows"] == tree["rows"][rows]).all()
    assert (moved["ints"] == tree["ints"][rows]).all()


@pytest.mark.parametrize("kind", [list, tuple, np.array, jnp.array], ids=["list", "tuple", "numpy", "jax"])
def test_indices_come_in_many_kinds(kind):
    model = made()
    rows = jnp.arange(2.0)[:, None, None, None] + jnp.zeros(model.cached_key.shape)
    model.cached_key[...] = rows
    reorder_cache(model, kind([1, 0]))
    assert (model.cached_key[...] == rows[::-1]).all()


@pytest.mark.parametrize(
    ("indices", "given"),
    [
        ([[0, 1]], "int32[1, 2]"),
        (1, "int32[]"),
        ([], "float32[0]"),
        ([0.0, 1.0], "float32[2]"),
        ([True, False], "bool[2]"),
        (np.zeros(0, np.int32), "int32[0]"),
    ],
)
def test_indices_must_be_ints_in_a_row(indices, given):
    model = made()
    before = nnx.clone(model)
    with pytest.raises(ValueError, match="pass a list such as") as caught:
        reorder_cache(model, indices)
    assert f"indices must be one or more ints in a row, got {given}:" in str(caught.value)
    assert unchanged(before, model, nnx.Cache) == NAMES


@pytest.mark.parametrize("indices", [[0, 2], [-1, 0], np.array([0, 2**40]), jnp.array([5, 5])], ids=str)
def test_indices_must_be_in_range_of_every_cache(indices):
    model = Stack()
    model.decode(tokens()[:, :1])
    before = nnx.clone(model)
    first, last = min(indices), max(indices)
    with pytest.raises(ValueError, match=f"^indices must be from 0 to 1 for a batch of 2, got {first} to {last}:"):
        reorder_cache(model, indices)
    model.late = nnx.Cache(jnp.zeros((1, 3)))  # the last of all has one row
    with pytest.raises(ValueError, match=r"^indices must be from 0 to 0 for a batch of 1, got 0 to 1:"):
        reorder_cache(model, [0, 1])
    del model.late, model.tree, before.tree  # unchanged cannot read a tree
    assert unchanged(before, model, ...) == sorted(paths(model, ...))


def test_traced_indices_out_of_range_give_nan():
    model = made()
    model.decode(tokens(length=5))
    nnx.jit(reorder_cache)(model, jnp.array([1, 2, -1]))
    assert jnp.isnan(model.cached_key[...]).all(axis=(1, 2, 3)).tolist() == [False, True, True]
    assert jnp.isnan(model.cached_value[...]).all(axis=(1, 2, 3)).tolist() == [False, True, True]


@pytest.mark.parametrize("function", [reset_cache, lambda model: reorder_cache(model, [0])])
def test_a_model_without_a_cache_is_refused(function):
    message = "^model must have a Cache, got a Linear with none: call init_cache first"
    with pytest.raises(ValueError, match=message):
        function(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))


def test_a_snapshot_takes_a_branch_and_goes_back():
    layer, x = made(), tokens()
    layer.decode(x[:, :3])
    alias, saved = nnx.state(layer, nnx.Cache), snapshot(layer, nnx.Cache)
    layer.decode(-x[:, 3:])
    assert alias["cache_index"][...] == 5
    assert saved["cache_index"][...] == 3
    restore(layer, saved)
    close(layer.decode(x[:, 3:]), FULL(layer, x)[:, 3:])


def test_a_cache_that_was_popped_can_be_put_back():
    layer, x = made(), tokens()
    layer.decode(x[:, :3])
    popped = nnx.pop(layer, nnx.Cache)
    assert sorted(nnx.state(layer)) == sorted(nnx.state(made(), nnx.Not(nnx.Cache))) == KERNELS
    nnx.update(layer, popped)
    close(layer.decode(x[:, 3:]), FULL(layer, x)[:, 3:])
