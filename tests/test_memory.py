"""Bytes of arrays beside a sum by hand, and of what a backward pass waits for beside what must be kept."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import CallCounter, MultiParam, nbytes, residual_bytes, run_on_devices, snapshot


def stack(depth, features=4):
    return nnx.Sequential(*[MultiParam(features, features, rngs=nnx.Rngs(0)) for _ in range(depth)])


def forward(model, x):
    model.layers[0].count[...] += 1.0
    return model(x)


def by_hand(nodes):
    """Return the bytes of the leaves, each Variable once."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(nnx.state(nodes)))


def test_bytes_are_those_of_the_arrays():
    model = stack(3)
    model.rngs = nnx.Rngs(0, dropout=1)
    model.half = nnx.Param(jnp.ones((3, 5), jnp.bfloat16))
    model.bare = jnp.ones(7, jnp.int8)
    model.tree = nnx.Variable({"a": jnp.ones(2), "b": [jnp.zeros((0, 4)), jnp.ones((), bool)]})
    optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
    assert nbytes(model, optimizer) == by_hand((model, optimizer)) == nbytes(model) + nbytes(optimizer)
    assert nbytes(optimizer) == 2 * nbytes(nnx.state(model, nnx.Param)) + 8
    assert nbytes(nnx.state(model, nnx.RngKey)) == 16
    assert nbytes(model.bare) == 7
    assert nbytes(model.tree) == 9
    assert nbytes() == nbytes(nnx.State({})) == nbytes({"a": None}) == 0


@given(st.lists(st.integers(0, 4), max_size=8))
def test_a_shared_buffer_counts_once(numbers):
    arrays = [jnp.ones(10 + number) for number in range(5)]
    tree = [nnx.Param(arrays[number]) for number in numbers]
    assert nbytes(*tree) == nbytes(tree) == 4 * sum(10 + number for number in set(numbers))


@pytest.mark.parametrize(
    ("copy", "times"),
    [
        (lambda model: model, 1),
        (nnx.state, 1),
        (nnx.clone, 1),
        (lambda model: nnx.as_pure(nnx.state(model)), 1),
        (lambda model: nnx.clone(model, arrays=True), 2),
        (snapshot, 2),
    ],
    ids=["itself", "state", "clone", "pure", "copy", "snapshot"],
)
def test_copies_take_memory_and_clones_do_not(copy, times):
    model = stack(2)
    model.rngs, model.tied = nnx.Rngs(0), model.layers[0].bias
    assert nbytes(model, copy(model)) == times * nbytes(model)


def test_a_donated_array_takes_nothing_and_its_memory_is_used_again():
    model = stack(2)
    model.rngs = nnx.Rngs(0)
    arrays, size = nnx.as_pure(nnx.state(model)), nbytes(model)
    address = arrays["layers"][0]["kernel"].unsafe_buffer_pointer()
    new = jax.jit(lambda arrays: jax.tree.map(lambda array: array, arrays), donate_argnums=0)(arrays)
    assert nbytes(model) == nbytes(arrays) == 0
    assert nbytes(arrays, new, model) == size
    assert new["layers"][0]["kernel"].unsafe_buffer_pointer() == address


def test_nnx_jit_gives_a_donated_model_its_new_arrays():
    model, size = stack(1), nbytes(stack(1))
    clone = nnx.clone(model)
    nnx.jit(forward, donate_argnums=0)(model, jnp.ones(4))
    assert (nbytes(model), nbytes(clone)) == (size, 0)
    assert model.layers[0].count[...] == 1.0


def test_an_abstract_model_counts_as_the_one_it_stands_for():
    def build():
        model = stack(2)
        model.rngs, model.tied = nnx.Rngs(0), model.layers[0].bias
        model.tree = nnx.Variable([jnp.ones(2), jnp.ones(2)])
        return model, nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)

    assert nbytes(*nnx.eval_shape(build)) == nbytes(*build())


def test_each_device_counts():
    def program():
        import jax
        import jax.numpy as jnp

        from nnx_state import nbytes

        with jax.set_mesh(jax.make_mesh((2,), ("data",))):
            cut = jax.device_put(jnp.ones(8), jax.P("data"))
            return nbytes(cut), nbytes(jax.device_put(jnp.ones(8), jax.P()))

    assert run_on_devices(program, devices=2) == [(32, 64)]


@pytest.mark.parametrize("leaf", [2, 2.0, np.ones(2)])
def test_bytes_are_read_from_arrays_of_jax(leaf):
    with pytest.raises(TypeError) as caught:
        nbytes(stack(1), nnx.Dict(a=nnx.Variable(leaf)))
    accepted = "nbytes must read arrays of JAX with values, or abstract ones"
    remedy = "convert it with jnp.asarray, and call nbytes outside of traced functions."
    assert str(caught.value) == f"{accepted}, got a {type(leaf).__name__} at 1.a: {remedy}"


def test_a_traced_model_has_no_buffers():
    with pytest.raises(TypeError, match=r"got a DynamicJaxprTracer at 0\.layers\.0\.bias: convert it"):
        nnx.jit(nbytes)(stack(1))


def chain(wrap, depth):
    call = wrap(lambda layer, x: jnp.sin(layer(x)))

    def loss_fn(layers, x):
        for layer in layers:
            x = call(layer, x)
        return x.sum()

    return loss_fn, lambda: nnx.List([nnx.Linear(3, 3, rngs=nnx.Rngs(0)) for _ in range(depth)])


@given(st.integers(1, 4), st.integers(1, 5))
def test_the_bytes_that_a_chain_keeps(depth, batch):
    x = jax.ShapeDtypeStruct((batch, 3), jnp.float32)
    array = 4 * 3 * batch
    loss_fn, build = chain(lambda call: call, depth)
    # of each layer the cosine, and of each but the first its input; an input of the whole is there anyway
    assert residual_bytes(loss_fn, nnx.eval_shape(build), x) == array * (2 * depth - 1)
    loss_fn, build = chain(nnx.remat, depth)
    assert residual_bytes(loss_fn, build(), x) == array * (depth - 1)


@pytest.mark.parametrize("graph", [True, False])
def test_nothing_is_written_into_the_model(graph):
    with nnx.set_graph_mode(graph), nnx.set_graph_updates(graph):
        model = CallCounter(nnx.Dropout(0.5, rngs=nnx.Rngs(0)))
        residual_bytes(lambda model, x: model(x), model, jnp.ones(3))
        assert model.calls[...] == 0
        assert model.layer.rngs.count[...] == 0


def test_the_params_decide_what_is_kept():
    model = nnx.Dict(param=nnx.Param(jnp.ones(3)), fixed=nnx.Variable(jnp.ones(3)))

    def by(name):
        return residual_bytes(lambda model: jnp.sin(model[name]), model)

    assert by("param") == 12
    assert by("fixed") == 0
    assert residual_bytes(lambda model: jnp.zeros(()), nnx.Dict()) == 0


def test_remat_counts_once_and_jax_checkpoint_not_at_all():
    model = CallCounter(nnx.Sequential(nnx.Linear(4, 4, rngs=nnx.Rngs(0)), nnx.Dropout(0.5, rngs=nnx.Rngs(0))))
    x = jnp.ones((2, 4))
    grads = {}
    for name, wrap, calls in (("none", lambda f: f, 1), ("remat", nnx.remat, 1), ("jax", jax.checkpoint, 0)):
        copy = nnx.clone(model)
        call = wrap(lambda model, x: model(x))
        grads[name] = nnx.grad(lambda model, call=call: jnp.sin(call(model, x)).sum())(copy)
        assert copy.calls[...] == calls
    kernels = [grad["layer"]["layers"][0]["kernel"][...] for grad in grads.values()]
    assert math.isclose(abs(kernels[0] - kernels[1]).max(), 0, abs_tol=1e-6)
    assert math.isclose(abs(kernels[0] - kernels[2]).max(), 0, abs_tol=1e-6)


def test_the_names_can_be_imported_from_where_they_were():
    from nnx_state.cost import nbytes as before
    from nnx_state.large_models import residual_bytes as as_well

    assert before is nbytes
    assert as_well is residual_bytes
