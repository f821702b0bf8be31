"""A divided layer on many devices and processes, where the leaves lie, and the runner of programs."""

import math
import subprocess
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import MultiParam, ShardedLinear, run_on_devices, shardings, snapshot

MESH = jax.make_mesh((1, 1), ("data", "model"))
SIZES = st.integers(1, 5)


def linear(in_features=4, out_features=8, seed=0):
    with jax.set_mesh(MESH):
        return ShardedLinear(in_features, out_features, rngs=nnx.Rngs(seed))


@given(SIZES, SIZES, st.integers(0, 9))
def test_the_layer_is_a_linear_layer(in_features, out_features, seed):
    model = linear(in_features, out_features, seed)
    expected = jax.random.normal(nnx.Rngs(seed).params(), (in_features, out_features)) / math.sqrt(in_features)
    assert {type(leaf) for leaf in (model.kernel, model.bias)} == {nnx.Param}
    assert type(model.count) is nnx.Variable
    assert model.count.dtype == jnp.int32
    assert np.allclose(model.kernel[...], expected)
    assert not model.bias[...].any()
    with jax.set_mesh(MESH):
        model.bias[...] = jnp.arange(out_features, dtype=float)
    x = np.arange(in_features, dtype=np.float32)
    y = model(jnp.asarray(x))
    assert np.allclose(y, x @ np.asarray(model.kernel) + np.asarray(model.bias), atol=1e-5)
    assert model.count[...] == 1


def test_the_annotations_are_kept_by_what_copies_a_model():
    model = linear()
    with jax.set_mesh(MESH):
        copies = [nnx.clone(model), nnx.merge(*nnx.split(model)), nnx.jit(lambda model: model)(model)]
        copies += [snapshot(model), nnx.jit(lambda: ShardedLinear(4, 8, rngs=nnx.Rngs(0)))()]
    for copied in copies:
        state = copied if isinstance(copied, nnx.State) else nnx.state(copied)
        for name, spec in {"kernel": (None, "model"), "bias": ("model",), "count": ()}.items():
            assert state[name].sharding.spec == jax.P(*spec)
            assert state[name].get_metadata().get("out_sharding", ()) == spec


def everything(mesh, save, restore):
    """Train for two steps; return places and values, and those of a model that is restored."""
    import jax
    import jax.numpy as jnp
    import optax
    import orbax.checkpoint as ocp
    from flax import nnx

    from nnx_state import ShardedLinear, shardings, train_step

    def loss_fn(model, x):
        return jnp.mean((model.dropout(model(x)) * model.scale + model.plain) ** 2)

    def make(seed):
        model = ShardedLinear(4, 8, rngs=nnx.Rngs(seed))
        model.scale = nnx.Param(jnp.ones(8))
        model.plain = jnp.ones(8)
        model.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(seed))
        return model

    def values(model):
        params = {name: jax.device_get(getattr(model, name)[...]) for name in ("kernel", "bias", "scale")}
        return params | {"count": int(model.count[...]), "draws": int(model.dropout.rngs.count[...])}

    def whole(model):
        with jax.set_mesh(jax.make_mesh(mesh, ("data", "model"))):
            return values(jax.tree.map(lambda leaf: jax.device_put(leaf, jax.P()), model))

    with jax.set_mesh(jax.make_mesh(mesh, ("data", "model"))):
        model = make(0)
        optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
        before = shardings(model) | shardings(optimizer)
        x = jax.device_put(jnp.eye(8, 4), jax.P("data"))
        for _ in range(2):
            train_step(model, optimizer, loss_fn, x)
        after = shardings(model) | shardings(optimizer)
        fresh = make(1)
    with ocp.StandardCheckpointer() as orbax:
        orbax.save(save, nnx.state(model))
        orbax.wait_until_finished()
        nnx.update(fresh, orbax.restore(restore or save, nnx.state(fresh)))
    assert shardings(fresh).items() <= after.items()
    return before, after, whole(model), whole(fresh)


def close(left, right):
    return all(np.allclose(left[name], right[name], rtol=0, atol=1e-6) for name in left)


def test_one_device_and_eight_in_one_process_or_two_agree(tmp_path):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        before, after, one, restored = everything((1, 1), tmp_path / "one", None)
    assert set(before.values()) == {"one device"}
    assert (one["count"], one["draws"]) == (2, 2)
    assert close(one, restored)
    places = dict.fromkeys(before, "replicated")
    for prefix in ("", "opt_state.0.mu.", "opt_state.0.nu."):
        places |= {f"{prefix}kernel": "P(None, 'model')", f"{prefix}bias": "P('model',)"}
    for mesh, processes in ((2, 4), 1), ((1, 8), 2):
        # Each restores what the run before it saved, on another mesh.
        folder = tmp_path / f"{processes}"
        previous = tmp_path / ("one" if processes == 1 else "1")
        for result in run_on_devices(everything, mesh, folder, previous, processes=processes):
            before, after, trained, restored = result
            assert before == after == places
            assert close(trained, one)
            assert close(restored, one)


def test_what_is_no_array_on_a_device():
    model = nnx.Dict(
        host=np.ones(2), number=nnx.Variable(3), array=jnp.ones(2), tree=nnx.List([nnx.Param(jnp.ones(1))])
    )
    expected = {"array": "one device", "host": "host", "number": "host", "tree.0": "one device"}
    assert shardings(model) == shardings(nnx.state(model)) == expected
    assert shardings(nnx.Dict()) == {}


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (lambda model: nnx.jit(shardings)(model), "DynamicJaxprTracer at bias"),
        (lambda model: shardings(nnx.eval_shape(lambda: model)), "ShapeDtypeStruct at bias"),
    ],
)
def test_an_array_without_values_is_refused(call, given):
    with pytest.raises(TypeError) as caught:
        call(MultiParam(4, 2, nnx.Rngs(0)))
    remedy = "call it outside of traced functions, on a model that was built."
    assert str(caught.value) == f"shardings must read arrays with values, got a {given}: {remedy}"


@pytest.mark.parametrize(("sizes", "error"), [((0, 8), ValueError), ((4, 2.0), TypeError), ((True, 8), TypeError)])
def test_sizes_are_checked(sizes, error):
    with pytest.raises(error, match="features must be an int from 1 to"):
        linear(*sizes)


def test_a_program_travels_with_its_arguments_and_its_output_comes_back(capfd):
    def program(greeting, numbers):
        import os
        import sys

        import jax

        class Local:
            number = len(numbers)

        print(greeting, jax.process_index())
        print("not captured", file=sys.stderr)
        os.write(1, b"not captured")
        return {"sum": numbers.sum() + Local.number, "devices": jax.local_device_count(), "name": __name__}

    results = run_on_devices(program, "über", np.arange(3), devices=6, processes=3)
    assert results == [{"sum": 6, "devices": 2, "name": "__main__"}] * 3
    out, err = capfd.readouterr()
    assert out == "über 0\nüber 1\nüber 2\n"
    assert err == ""


@pytest.fixture
def started(monkeypatch):
    """Return the list of the processes that the test starts."""
    children = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            children.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return children


def test_the_first_failure_ends_all(started):
    def program(failing):
        import time

        import jax

        if jax.process_index() == failing:
            raise ValueError("several\nlines")
        time.sleep(1000)

    with pytest.raises(RuntimeError) as caught:
        run_on_devices(program, 1, devices=2, processes=2, timeout=1000)
    expected = "a process must end without an error (see its note), got ValueError in process 1: several\nlines"
    assert str(caught.value) == expected
    assert "in program" in caught.value.__notes__[0]
    assert len(started) == 2
    assert all(child.returncode is not None for child in started)


def test_a_process_that_takes_too_long_tells_where_it_stood(started):
    def program():
        import faulthandler
        import time

        faulthandler.dump_traceback_later(0.01, exit=True)  # the limit, drawn near for the test
        time.sleep(1000)

    file = f"{__file__}-Öfen-水-😀"  # `faulthandler` writes such letters as escapes
    program.__code__ = program.__code__.replace(co_filename=file)
    with pytest.raises(TimeoutError, match=r"a process must end in time, got no end .* or raise timeout=\.") as caught:
        run_on_devices(program, devices=1)
    assert file in caught.value.__notes__[0]
    assert "in program" in caught.value.__notes__[0]
    assert [child.returncode for child in started] == [1]


def test_a_result_that_cannot_be_pickled_is_named():
    def program():
        import sys

        return sys

    with pytest.raises(RuntimeError, match="got TypeError in process 0: cannot pickle 'module' object"):
        run_on_devices(program, devices=1)


def outer():
    inner = 1
    return lambda: inner


@pytest.mark.parametrize(
    ("program", "options", "error", "message"),
    [
        (print, {}, TypeError, "program must be a Python function that uses no variable of another function"),
        (outer(), {}, TypeError, "program must be a Python function that uses no variable of another function"),
        (
            types.MethodType(outer, 1),
            {},
            TypeError,
            "import inside of it what it needs, and pass the rest as arguments",
        ),
        (outer, {"devices": 0}, ValueError, "devices must be an int from 1 to"),
        (outer, {"processes": 1.0}, TypeError, "processes must be an int from 1 to"),
        (outer, {"devices": 4, "processes": 8}, ValueError, "devices must be a multiple of processes, got 4 for 8"),
        (outer, {"timeout": 0}, ValueError, "timeout must be a number of seconds above 0, got 0"),
        (outer, {"timeout": float("nan")}, ValueError, "timeout must be a number of seconds above 0, got nan"),
    ],
)
def test_arguments_are_checked_before_anything_starts(started, program, options, error, message):
    with pytest.raises(error, match=message):
        run_on_devices(program, **options)
    assert started == []
