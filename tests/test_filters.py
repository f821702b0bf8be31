"""The filters by exact class and by name, and the two functions that show what a filter selects."""

import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import Attribute, Exactly, MultiParam, paths, sizes


class Model(nnx.Module):
    """Leaves of five kinds: Params, an adapter, a tagged Variable, random state and a plain array."""

    def __init__(self):
        self.layers = nnx.List([nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Linear(3, 1, rngs=nnx.Rngs(1))])
        self.adapter = nnx.LoRAParam(jnp.ones((2, 4)))
        self.count = nnx.Variable(jnp.zeros((), jnp.int32), tag="log")
        self.rngs = nnx.Rngs(0)
        self.plain = jnp.zeros(5)


BIASES = ["layers.0.bias", "layers.1.bias"]
KERNELS = ["layers.0.kernel", "layers.1.kernel"]
DENSE = sorted(BIASES + KERNELS)
RNGS = ["rngs.default.count", "rngs.default.key"]
EVERYTHING = ["adapter", "count", *DENSE, "plain", *RNGS]
FILTERS = [nnx.Param, nnx.Variable, nnx.LoRAParam, nnx.RngState, "log", Exactly(nnx.Param), Attribute("bias"), False]
filters = st.recursive(
    st.sampled_from(FILTERS),
    lambda inner: st.one_of(st.builds(nnx.Not, inner), st.builds(nnx.All, inner, inner), st.tuples(inner, inner)),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("filter_", "selected"),
    [
        (Exactly(nnx.Param), DENSE),
        (Exactly(nnx.LoRAParam), ["adapter"]),
        (Exactly(nnx.Variable), ["count"]),
        (Exactly(nnx.RngState), []),
        (Attribute("bias"), BIASES),
        (Attribute("count"), ["count", "rngs.default.count"]),
        (Attribute("layers"), []),
        (Attribute(0), []),
        (nnx.All(Exactly(nnx.Param), nnx.Not(Attribute("bias"))), KERNELS),
        ((Exactly(nnx.LoRAParam), Attribute("plain")), ["adapter", "plain"]),
        (nnx.Variable, [path for path in EVERYTHING if path != "plain"]),
        (..., EVERYTHING),
        (None, []),
    ],
    ids=repr,
)
def test_a_filter_selects_these_paths(filter_, selected):
    assert paths(Model(), filter_) == selected


def test_paths_lists_every_leaf_by_default():
    assert paths(Model()) == EVERYTHING


def test_a_position_in_a_list_is_a_name_and_the_empty_path_has_none():
    assert paths(nnx.List([nnx.Param(jnp.ones(1)), nnx.Param(jnp.ones(1))]), Attribute(1)) == ["1"]
    assert not Attribute("bias")((), nnx.Param(jnp.ones(1)))


@given(filters)
def test_two_groups_hold_what_their_filters_select(filter_):
    model = Model()
    inside, outside = paths(model, filter_), paths(model, nnx.Not(filter_))
    assert sorted(inside + outside) == sorted(EVERYTHING)
    counts = sizes(model, first=filter_, rest=...)
    assert counts["first"] == sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, filter_)))
    assert sum(counts.values()) == 8 + 1 + 9 + 4 + 2 + 5


def test_the_first_group_wins_and_the_order_is_kept():
    assert list(sizes(Model(), z=nnx.LoRAParam, a=nnx.Param, rest=...).items()) == [("z", 8), ("a", 13), ("rest", 8)]
    assert sizes(Model(), all=nnx.Variable, params=nnx.Param, rest=...) == {"all": 24, "params": 0, "rest": 5}


def test_a_group_may_be_named_model_and_a_python_number_counts_as_one():
    module = MultiParam(4, 2, rngs=nnx.Rngs(0))
    module.number = nnx.data(3)
    assert sizes(module, model=nnx.Param, rest=...) == {"model": 10, "rest": 2}


def test_sizes_and_paths_need_no_values():
    abstract = nnx.eval_shape(lambda: MultiParam(4, 2, rngs=nnx.Rngs(0)))
    assert sizes(abstract, params=nnx.Param, rest=...) == {"params": 10, "rest": 1}
    found = []

    @nnx.jit
    def look(model):
        found.append((sizes(model, params=Exactly(nnx.Param), rest=...), paths(model, Attribute("bias"))))

    look(MultiParam(4, 2, rngs=nnx.Rngs(0)))
    assert found == [({"params": 10, "rest": 1}, ["bias"])]


def test_equal_filters_are_equal_and_hash_alike():
    assert Exactly(nnx.Param) == Exactly(nnx.Param) != Exactly(nnx.LoRAParam)
    assert Attribute("bias") == Attribute("bias") != Attribute("kernel")
    assert len({Exactly(nnx.Param), Exactly(nnx.Param), Attribute("bias"), Attribute("bias")}) == 2
    assert (
        repr(nnx.Not(nnx.Any(Exactly(nnx.Param), Attribute("bias")))) == "Not(Any(Exactly(Param), Attribute('bias')))"
    )


def test_a_new_equal_filter_costs_no_trace():
    traces = []

    @nnx.jit
    def step(optimizer):
        traces.append(optimizer)

    model, sgd = MultiParam(4, 2, rngs=nnx.Rngs(0)), optax.sgd(0.1)
    for _ in range(3):
        step(nnx.Optimizer(model, sgd, wrt=nnx.All(Exactly(nnx.Param), nnx.Not(Attribute("bias")))))
    assert len(traces) == 1


def test_a_frozen_attribute_gets_no_gradient_and_no_update():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    wanted = nnx.All(nnx.Param, nnx.Not(Attribute("bias")))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=wanted)

    @nnx.jit
    def step(model, optimizer):
        grads = nnx.grad(lambda model: model(jnp.ones(4)).sum(), argnums=nnx.DiffState(0, wanted))(model)
        assert paths(grads) == ["kernel"]
        optimizer.update(model, grads)

    before = model.kernel[...] + 0.0
    step(model, optimizer)
    assert (model.bias[...] == 0.0).all()
    assert jnp.allclose(before - model.kernel[...], 0.1, atol=1e-6)


KIND = "kind must be nnx.Variable or a class derived from it, got {}: pass a class such as nnx.Param, or filter with a "
KIND += "callable of your own."
NAME = "name must be a str or an int, got {}: pass the last part of a path, such as 'bias'."
FILTER = "{} must be a filter of NNX, got {}: pass a class, a tag, a callable, a bool, None, `...` or a tuple of these."


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda: Exactly(jax.Array), TypeError, KIND.format(repr(jax.Array))),
        (lambda: Exactly("bias"), TypeError, KIND.format("'bias'")),
        (lambda: Attribute(True), TypeError, NAME.format("True of type bool")),
        (lambda: Attribute(("norm", "bias")), TypeError, NAME.format("('norm', 'bias') of type tuple")),
        (lambda: paths(Model(), 3), TypeError, FILTER.format("filter", "3 of type int")),
        (lambda: paths(Model(), (nnx.Param, 3)), TypeError, FILTER.format("filter", f"{(nnx.Param, 3)} of type tuple")),
        (lambda: sizes(Model(), first=nnx.Param, rest=2.5), TypeError, FILTER.format("rest", "2.5 of type float")),
        (
            lambda: sizes(Model()),
            ValueError,
            "sizes needs one named filter or more, got none: pass groups such as trained=nnx.Param, rest=...",
        ),
        (
            lambda: sizes(Model(), everything=..., params=nnx.Param),
            ValueError,
            "`...` or `True` can only be used as the last filters, got Ellipsis it at index 0.",
        ),
        (
            lambda: sizes(Model(), variables=nnx.Variable),
            ValueError,
            "Non-exhaustive filters, got a non-empty remainder: FlatState([\n"
            "  (('plain',), Array([0., 0., 0., 0., 0.], dtype=float32))\n"
            "]).\nUse `...` to match all remaining elements.",
        ),
    ],
)
def test_bad_input_is_named(function, error, message):
    with pytest.raises(error) as caught:
        function()
    assert str(caught.value) == message
