"""The stack of layers, and the search for state that a module hides; what Flax does with containers on this release."""

import collections
import functools
import itertools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import MLP, hidden_state, paths


def dense():
    return nnx.Linear(2, 2, use_bias=False, rngs=nnx.Rngs(0))


def closure(layer):
    return lambda x: layer(x)


def empty_closure():
    return types.FunctionType(closure(None).__code__, {}, closure=(types.CellType(),))


class Plain:
    def __init__(self):
        self.layer = dense()
        self.itself = self


class Slotted:
    __slots__ = ("size",)


class Holder(nnx.Module):
    def __init__(self, held=None):
        self.held = held


class Opaque(Holder, pytree=False): ...


def filled_late(container, add):
    model = Holder(container)
    add(model.held)
    return model


@pytest.mark.parametrize("sizes", [(4, 2), (1, 1, 1), (3, 5, 4, 2)])
def test_an_mlp_computes_its_formula(sizes):
    model = MLP(*sizes, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (3, sizes[0]))
    expected = np.asarray(x)
    for place, layer in enumerate(model.layers):
        expected = np.maximum(expected, 0) if place else expected
        expected = expected @ np.asarray(layer.kernel[...]) + np.asarray(layer.bias[...])
    assert model(x).shape == (3, sizes[-1])
    assert np.allclose(model(x), expected, atol=1e-5)
    assert np.allclose(model(x[0]), expected[0], atol=1e-5)
    assert [layer.kernel.shape for layer in model.layers] == list(itertools.pairwise(sizes))


def test_an_mlp_is_a_sequential_of_the_same_seed():
    rngs = nnx.Rngs(0)
    other = nnx.Sequential(nnx.Linear(4, 3, rngs=rngs), nnx.relu, nnx.Linear(3, 2, rngs=rngs))
    model = MLP(4, 3, 2, rngs=nnx.Rngs(0))
    x = jnp.ones((5, 4))
    assert (model(x) == other(x)).all()
    assert (jax.jit(lambda model: model(x))(model) == nnx.jit(lambda model: model(x))(model)).all()


def test_an_mlp_grows_and_trains():
    model = MLP(4, 3, rngs=nnx.Rngs(0))
    model.layers.append(nnx.Linear(3, 2, rngs=nnx.Rngs(1)))
    before = nnx.clone(model)
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    optimizer.update(model, nnx.grad(lambda model: model(jnp.ones(4)).sum())(model))
    assert (model.layers[1].bias[...] != before.layers[1].bias[...]).all()
    assert hidden_state(model) == hidden_state(optimizer) == []
    assert paths(nnx.eval_shape(lambda: MLP(4, 3, rngs=nnx.Rngs(0)))) == ["layers.0.bias", "layers.0.kernel"]


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((), ValueError, r"sizes must be two ints or more, got \(\): pass for example MLP\(4, 8, 2, rngs=rngs\)\."),
        (([4, 8],), ValueError, r"two ints or more, got \(\[4, 8\],\)"),
        ((4, "8"), TypeError, r"sizes\[1\] must be an int from 1 to 2147483647, got '8' of type str"),
        ((4, 8, 0), ValueError, r"sizes\[2\] must be an int from 1"),
    ],
)
def test_an_mlp_refuses_other_sizes(sizes, error, message):
    rngs = nnx.Rngs(0)
    with pytest.raises(error, match=message):
        MLP(*sizes, rngs=rngs)
    assert rngs.default.count[...] == 0  # nothing was drawn


HIDING = {
    "late list": (lambda: filled_late([], lambda held: held.append(dense())), ["held.0.kernel"]),
    "late dict": (lambda: filled_late({}, lambda held: held.update(a=dense())), ["held.a.kernel"]),
    "nested": (lambda: filled_late([()], lambda held: held.append({"a": [dense()]})), ["held.1.a.0.kernel"]),
    "late deque": (lambda: filled_late(collections.deque(), lambda held: held.append(jnp.ones(1))), ["held.0"]),
    "static list": (lambda: filled_late(nnx.static([]), lambda held: held.append(nnx.Variable(1))), ["held.0"]),
    "set": (lambda: Holder({dense()}), ["held.0.kernel"]),
    "frozenset": (lambda: Holder(frozenset([dense()])), ["held.0.kernel"]),
    "set in an opaque module": (lambda: Opaque({dense()}), ["held.0.kernel"]),
    "object": (lambda: Holder(Plain()), ["held.layer.kernel"]),
    "namespace": (lambda: Holder(types.SimpleNamespace(a=Plain(), b=jnp)), ["held.a.layer.kernel"]),
    "closure": (lambda: Holder(closure(dense())), ["held.layer.kernel"]),
    "closure over an object": (lambda: Holder(closure(Plain())), ["held.layer.layer.kernel"]),
    "bound method": (lambda: Holder(dense().__call__), ["held.self.kernel"]),
    "partial": (
        lambda: Holder(functools.partial(print, dense(), args=dense())),
        ["held.args.0.kernel", "held.args.kernel"],
    ),
    "partial of a closure": (lambda: Holder(functools.partial(closure(dense()))), ["held.func.layer.kernel"]),
    "modules in a list": (
        lambda: nnx.List([Holder({dense()}), Holder(Plain())]),
        ["0.held.0.kernel", "1.held.layer.kernel"],
    ),
    "object in marked data": (lambda: Holder(nnx.data([Plain()])), ["held.0.layer.kernel"]),
}


@pytest.mark.parametrize(("model", "hidden"), HIDING.values(), ids=HIDING)
def test_hidden_state_is_found(model, hidden):
    model = model()
    leaves_before = jax.tree.leaves(nnx.state(model))
    assert hidden_state(model) == hidden
    assert jax.tree.leaves(nnx.state(model)) == leaves_before


LEAVES = st.builds(nnx.Variable, st.just(1.0)) | st.builds(dense) | st.integers(0, 9) | st.text(max_size=2)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@given(NESTED)
def test_the_paths_are_those_that_jax_gives_to_a_tree(nested):
    model = filled_late([], lambda held: held.append(nested))
    flat, _ = jax.tree.flatten_with_path(nested, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))
    wanted = [path for path, leaf in flat if isinstance(leaf, nnx.Variable)]
    dots = [jax.tree_util.keystr(path, simple=True, separator=".") for path in wanted]
    assert hidden_state(model) == sorted(f"held.0.{path}" if path else "held.0" for path in dots)


WHOLE = {
    "nothing": Holder,
    "module": lambda: Holder(dense()),
    "array": lambda: Holder(jnp.ones(2)),
    "marked list": lambda: Holder(nnx.data([dense(), jnp.ones(2)])),
    "opaque module": lambda: Opaque([dense(), (jnp.ones(2), {"a": dense()})]),
    "closure whose variable was deleted": lambda: Holder(empty_closure()),
    "class": lambda: Holder(Plain),
    "slots": lambda: Holder(Slotted()),
    "plain values": lambda: Holder([1.0, "a", range(3)]),
    "layers": lambda: nnx.Sequential(
        dense(), nnx.relu, nnx.Dropout(0.5, rngs=nnx.Rngs(0)), nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    ),
    "attention": lambda: nnx.MultiHeadAttention(num_heads=1, in_features=2, rngs=nnx.Rngs(0)),
    "recurrent": lambda: nnx.RNN(nnx.LSTMCell(2, 2, rngs=nnx.Rngs(0))),
    "optimizer": lambda: nnx.Optimizer(dense(), optax.adamw(optax.cosine_decay_schedule(0.1, 9)), wrt=nnx.Param),
    "keys": lambda: nnx.Rngs(0),
}


@pytest.mark.parametrize("model", WHOLE.values(), ids=WHOLE)
def test_what_is_in_the_state_is_not_hidden(model):
    assert hidden_state(model()) == []


def test_another_path_into_the_state_is_not_hidden():
    model = nnx.Dict(layer=dense(), array=jnp.ones(2), late=[])
    model.late.extend([model.layer, model.array, closure(model.layer), model])
    assert hidden_state(model) == []


def test_a_leaf_under_two_paths_is_named_once_by_the_shorter():
    model, layer = nnx.Dict(a=[], b=[]), dense()
    model.a.append([layer])
    model.b.append(layer)
    assert hidden_state(model) == ["b.0.kernel"]


def test_a_long_chain_is_searched():
    held = [dense()]
    for _ in range(5000):
        held = {frozenset([7]): held}
    model = Holder([])
    model.held.append(held)
    (path,) = hidden_state(model)
    assert path.endswith("0.kernel")


@pytest.mark.parametrize("model", [None, 3, [1], Holder, jnp.ones(2)], ids=repr)
def test_the_model_must_be_an_object_of_nnx(model):
    with pytest.raises(TypeError, match=f"model must be a module, got {type(model).__name__}: pass an object"):
        hidden_state(model)


def test_it_runs_inside_of_nnx_jit():
    found = []

    @nnx.jit
    def look(model):
        found.append(hidden_state(model))
        model.held.kernel[...] = model.held.kernel[...] * 2.0
        found.append(hidden_state(model))

    look(Holder(dense()))
    assert found == [[], []]


def make():
    return nnx.Dict(bare=2 * jnp.ones(2), marked=nnx.data(jnp.ones(2)), wrapped=nnx.Variable(jnp.ones(2)))


@pytest.mark.parametrize("build", [nnx.eval_shape, lambda make: nnx.jit(make)()], ids=["eval_shape", "jit"])
def test_a_module_made_under_a_trace_keeps_what_is_marked(build):
    model = build(make)
    assert {"marked", "wrapped"} <= set(paths(model))
    assert hidden_state(model) in ([], ["bare"])  # it depends on the version of Python
    assert sorted(paths(model) + hidden_state(model)) == ["bare", "marked", "wrapped"]


# What the lesson teaches about Flax beyond its own page.


def test_a_list_that_init_fills_raises_at_the_end_of_init():
    class Filled(nnx.Module):
        def __init__(self):
            self.layers = []
            self.layers.append(dense())

    with pytest.raises(ValueError, match="Found unexpected data on value of type <class 'list'> in static"):
        Filled()


def test_an_nnx_list_holds_static_items_and_each_position_keeps_its_status():
    model = nnx.List([dense(), nnx.relu, 3, "a", None])
    assert paths(model) == ["0.kernel"]
    with pytest.raises(ValueError, match="to static attribute '1'"):
        model[1] = dense()


def test_a_marked_list_is_replaced_by_nnx_jit():
    model = Holder(nnx.data([jnp.ones(2)]))
    before = model.held
    nnx.jit(lambda model: model.held.append(jnp.ones(2)))(model)
    assert len(before) == 1
    assert paths(model) == ["held.0", "held.1"]
