"""A model that is made in blocks, and its bytes on a device."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import ShardedLinear, device_bytes, make_in_blocks, run_on_devices

MESH = jax.make_mesh((1, 1), ("data", "model"))
EXPLICIT = (jax.sharding.AxisType.Explicit,) * 2
SIZES = st.integers(1, 6)


class Plain(nnx.Module):
    """A module with an array that is neither a Variable nor marked as data."""

    def __init__(self):
        self.plain = jnp.ones(3)


def made(kind):
    """Make a run on eight devices, and return where its leaves lie, and how its numbers differ from those of a call."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from nnx_state import ShardedLinear, device_bytes, make_in_blocks, shardings

    axes = []

    class Model(nnx.Module):
        def __init__(self):
            axes.append(jax.sharding.get_abstract_mesh().axis_types)
            self.linear = ShardedLinear(4, 8, rngs=nnx.Rngs(0))
            self.tied = self.linear.kernel
            self.named = nnx.Param(jnp.ones((8, 2)), out_sharding=("mlp", None))
            self.plain = nnx.data(jnp.ones(3))
            self.number = nnx.Variable(3)
            self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(1))

    def build():
        model = Model()
        return {"model": model, "adam": nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)}

    kind = getattr(jax.sharding.AxisType, kind)
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(kind, kind))
    with nnx.logical_axis_rules([("mlp", "data")]):
        run = make_in_blocks(build, mesh)
        drawn = axes[-1]
        with jax.set_mesh(mesh):
            called = build()
        abstract = nnx.get_abstract_model(build, mesh)[1]
    assert run["model"].tied is run["model"].linear.kernel
    assert device_bytes(run) == device_bytes(abstract) == device_bytes(nnx.state(run))

    def alike(one, two):
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, two = map(jax.random.key_data, (one, two))
        return bool(jnp.allclose(one, two, rtol=1e-6))

    same = jax.tree.map(alike, nnx.state(run), nnx.state(called))
    return shardings(nnx.Dict(**run)), all(jax.tree.leaves(same)), {axis.name for axis in drawn}, device_bytes(run)


@pytest.mark.parametrize("kind", ["Explicit", "Auto"])
def test_a_run_is_made_in_blocks_on_either_kind_of_axes(kind):
    [(places, same, drawn, size)] = run_on_devices(made, kind)
    assert same
    assert drawn == {"Auto"}  # only there a draw is cut before it is drawn
    cut = {"linear.kernel": "P(None, 'model')", "linear.bias": "P('model',)", "named": "P('data', None)"}
    if kind == "Auto":
        cut["named"] = "P('data',)"
    for prefix in ("model.", "adam.opt_state.0.mu.", "adam.opt_state.0.nu."):
        for path, spec in cut.items():
            assert places.pop(f"{prefix}{path}") == spec
    assert set(places.values()) == {"replicated"}
    # three times the kernel, the bias and the named Param; the counts, `plain`, the key and its count, `number`
    assert size == 3 * 4 * (4 * 2 + 2 + 4 * 2) + 4 * (1 + 3 + 1 + 1 + 2) + 8


def test_a_model_keeps_its_types_and_annotations():
    model = make_in_blocks(lambda: ShardedLinear(4, 8, rngs=nnx.Rngs(0)), MESH)
    assert type(model) is ShardedLinear
    assert type(model.kernel) is nnx.Param
    assert model.kernel.out_sharding == (None, "model")
    with jax.set_mesh(MESH):
        assert model(jnp.ones(4)).shape == (8,)
    assert model.count[...] == 1


def test_a_model_without_annotations_is_replicated():
    model = make_in_blocks(lambda: nnx.Linear(4, 8, rngs=nnx.Rngs(0)), MESH)
    assert (model.kernel[...] == nnx.Linear(4, 8, rngs=nnx.Rngs(0)).kernel[...]).all()
    assert model.kernel.sharding.is_fully_replicated


@pytest.mark.parametrize(
    ("build", "mesh", "error", "message"),
    [
        (3, MESH, TypeError, "build must be a function without arguments, got int: pass what makes the model"),
        (
            lambda: nnx.Linear(4, 8, rngs=nnx.Rngs(0)),
            jax.sharding.AbstractMesh((2, 4), ("data", "model")),
            TypeError,
            "mesh must be a mesh of devices, got AbstractMesh: pass what jax.make_mesh returned",
        ),
        (
            lambda: ShardedLinear(4, 8, rngs=nnx.Rngs(0)),
            jax.make_mesh((1,), ("data",)),
            ValueError,
            "model of P.None, 'model'. is not found in mesh",
        ),
        (
            lambda: {"net": nnx.Dict(layers=nnx.List([Plain()]))},
            MESH,
            ValueError,
            "each array must be data of its module, got a plain one at net.layers.0.plain, which is static",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(build, mesh, error, message):
    with pytest.raises(error, match=message):
        make_in_blocks(build, mesh)


@given(SIZES, SIZES, st.sampled_from([jnp.float32, jnp.bfloat16, jnp.int8]))
def test_the_bytes_of_whole_leaves(rows, columns, dtype):
    node = nnx.Dict(one=nnx.Param(jnp.zeros((rows, columns), dtype)), two=jnp.zeros(rows), key=nnx.Rngs(0))
    expected = rows * columns * jnp.dtype(dtype).itemsize + 4 * rows + 8 + 4
    assert device_bytes(node) == device_bytes(nnx.state(node)) == expected
    assert device_bytes(nnx.eval_shape(lambda: nnx.clone(node))) == expected
    assert device_bytes({"a": node, "b": nnx.Variable(jnp.zeros(2))}) == expected + 8


@given(SIZES, SIZES)
def test_the_bytes_of_blocks_on_devices_that_are_not_there(rows, columns):
    mesh = jax.sharding.AbstractMesh((16, 32), ("data", "model"), axis_types=EXPLICIT)
    with jax.sharding.use_abstract_mesh(mesh):
        plan = nnx.eval_shape(lambda: ShardedLinear(rows, 32 * columns, rngs=nnx.Rngs(0)))
    assert device_bytes(plan) == 4 * (rows * columns + columns + 1)


def test_a_variable_with_two_names_counts_once():
    shared = nnx.Param(jnp.zeros(5))
    assert device_bytes(nnx.Dict(a=shared, b=shared)) == 20
    assert device_bytes(nnx.Dict()) == 0


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (lambda: device_bytes(nnx.Dict(a=np.ones(3))), "ndarray at a"),
        (lambda: device_bytes(nnx.Dict(a=nnx.Variable(3.0))), "float at a"),
        (lambda: nnx.jit(device_bytes)(nnx.Dict(a=jnp.ones(3))), "DynamicJaxprTracer at a"),
    ],
)
def test_what_has_no_bytes_on_a_device_is_refused(call, given):
    with pytest.raises(TypeError) as caught:
        call()
    wanted = f"device_bytes must read arrays of JAX with values, or abstract ones, got {given}: "
    remedy = "convert it with jnp.asarray, and call device_bytes outside of traced functions."
    assert str(caught.value) == wanted + remedy


def test_an_optimizer_is_made_with_its_model():
    def build():
        model = ShardedLinear(4, 8, rngs=nnx.Rngs(0))
        return {"model": model, "adam": nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)}

    run = make_in_blocks(build, MESH)
    assert run["adam"].opt_state[0].mu["kernel"].sharding.spec == jax.P(None, "model")
