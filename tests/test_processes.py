"""What processes hold, share and compare, each in processes of its own; one alone gives the same answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nnx_state import MultiParam, ShardedLinear, gathered, held_here, run_on_devices, unequal_copies

PATHS = ["bias", "count", "kernel", "mixed", "own", "rngs.default.count", "rngs.default.key", "rows"]


def program(seed_of_process):
    import jax
    import jax.numpy as jnp
    import numpy as np
    from flax import nnx

    from nnx_state import ShardedLinear, gathered, held_here, unequal_copies

    index = jax.process_index()
    mesh = jax.make_mesh((2, 4), ("data", "model"))
    own = jnp.arange(3) + index  # without a mesh
    with jax.set_mesh(mesh):
        model = ShardedLinear(4, 8, rngs=nnx.Rngs(index if seed_of_process else 0))
        rows = np.arange(8.0, dtype=np.float32).reshape(2, 4)[index :: jax.process_count()]
        model.rows = nnx.data(jax.make_array_from_process_local_data(jax.NamedSharding(mesh, jax.P("data")), rows))
        model.mixed = nnx.Variable(jax.device_put(np.arange(16).reshape(4, 4), jax.P("data", "model")))
        model.rngs = nnx.Rngs(7)
        model(jnp.ones(4))
    model.own = nnx.Variable(own)
    found = {path: value.tolist() for path, value in gathered(model).items()}
    return held_here(model), found, unequal_copies(model)


@pytest.mark.parametrize("seed_of_process", [False, True])
def test_two_processes(seed_of_process):
    answers = run_on_devices(program, seed_of_process, processes=2)
    [alone] = run_on_devices(program, False)
    for index, (held, found, unequal) in enumerate(answers):
        assert sorted(held) == sorted(found) == PATHS
        assert held["kernel"] == held["bias"] == "4 of 4 blocks"
        assert held["rows"] == "1 of 2 blocks"
        assert held["mixed"] == "4 of 8 blocks"
        assert {held[path] for path in ("count", "own", "rngs.default.key", "rngs.default.count")} == {"all"}
        assert found["own"] == [index, index + 1, index + 2]
        assert unequal == (["kernel", "own"] if seed_of_process else ["own"])
        same = set(PATHS) - {"own"} - ({"kernel"} if seed_of_process else set())
        assert {path: found[path] for path in same} == {path: alone[1][path] for path in same}
    assert alone[0]["kernel"] == "4 of 4 blocks"
    assert alone[0]["mixed"] == "8 of 8 blocks"
    assert alone[2] == []


def test_one_process_has_everything():
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    model.rngs, model.half = nnx.Rngs(0), nnx.Param(jnp.ones(3, jnp.bfloat16))
    model.tree = nnx.Variable({"a": jnp.ones(2)})
    assert set(held_here(model).values()) == {"all"}
    found = gathered(model)
    for path, array in found.items():
        assert isinstance(array, np.ndarray), path
    np.testing.assert_array_equal(found["kernel"], model.kernel[...])
    np.testing.assert_array_equal(found["rngs.default.key"], jax.random.key_data(model.rngs.default.key[...]))
    assert found["half"].dtype == jnp.bfloat16
    assert unequal_copies(model) == []
    assert held_here(nnx.Dict()) == gathered(nnx.Dict()) == {}


def test_copies_in_one_process_can_differ():
    def program():
        import jax
        import jax.numpy as jnp
        from flax import nnx

        from nnx_state import unequal_copies

        mesh = jax.make_mesh((2,), ("data",))
        parts = [jax.device_put(jnp.full(3, float(number)), device) for number, device in enumerate(mesh.devices)]
        place = jax.NamedSharding(mesh, jax.P())
        with jax.set_mesh(mesh):
            odd = jax.make_array_from_single_device_arrays((3,), place, parts)
            cut = jax.device_put(jnp.arange(4.0), jax.P("data"))
            nans = jax.device_put(jnp.full(2, jnp.nan), jax.P())
        return unequal_copies(nnx.Dict(odd=odd, cut=cut, nans=nans))

    assert run_on_devices(program, devices=2) == [["odd"]]


@pytest.mark.parametrize("function", [held_here, gathered, unequal_copies])
@pytest.mark.parametrize(
    ("node", "given"),
    [
        (nnx.Dict(a=nnx.Variable(3.0)), "float at a"),
        (nnx.Dict(a=np.ones(3)), "ndarray at a"),
        (nnx.eval_shape(lambda: nnx.Linear(2, 3, rngs=nnx.Rngs(0))), "ShapeDtypeStruct at bias"),
    ],
)
def test_what_has_no_numbers_is_refused(function, node, given):
    with pytest.raises(TypeError) as caught:
        function(node)
    remedy = "convert it with jnp.asarray, and call it outside of traced functions."
    assert str(caught.value) == f"{function.__name__} must read arrays of JAX with values, got a {given}: {remedy}"


@pytest.mark.parametrize("function", [held_here, gathered, unequal_copies])
def test_a_traced_model_is_refused(function):
    mesh = jax.make_mesh((1, 1), ("data", "model"))
    with jax.set_mesh(mesh):
        model = ShardedLinear(4, 8, rngs=nnx.Rngs(0))
        with pytest.raises(TypeError, match="got a DynamicJaxprTracer at bias"):
            nnx.jit(function)(model)
