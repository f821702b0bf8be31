"""Checkpoints: bit-identical resumes, strict restores, and saves that are killed at every stage."""

import json
import multiprocessing
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import (
    EMA,
    Attribute,
    Buffer,
    CallCounter,
    Noise,
    Scratch,
    latest_step,
    restore_checkpoint,
    run_on_devices,
    save_checkpoint,
)

ADAMW = optax.adamw(0.1)


class Shifted(nnx.Variable):
    """A type that shows another value than the one inside, which is what a checkpoint has to hold."""

    def get_value(self, **kwargs):
        return super().get_value(**kwargs) + 1.0


class Model(nnx.Module):
    """A model with state of every kind."""

    def __init__(self, rngs):
        self.body = CallCounter(nnx.Linear(4, 4, rngs=rngs))
        self.layers = nnx.List([nnx.BatchNorm(4, rngs=rngs), nnx.Dropout(0.5, rngs=rngs), Noise(0.1, rngs=rngs)])
        self.shifted = Shifted(jnp.zeros(2))
        self.plain = nnx.data(jnp.zeros((), jnp.int32))
        self.tied = self.layers[0].scale

    def __call__(self, x):
        self.shifted.set_value(self.shifted.get_raw_value() + 1.0)
        self.plain = self.plain + 1
        for layer in (self.body, *self.layers):
            x = layer(x)
        return x


def build(seed=0):
    model = Model(nnx.Rngs(seed))
    optimizer = nnx.Optimizer(model, ADAMW, wrt=nnx.Param)
    return {"model": model, "optimizer": optimizer, "ema": EMA(model, decay=0.9), "rngs": nnx.Rngs(seed + 5)}


@nnx.jit
def step(model, optimizer, ema, rngs, x):
    x = x + rngs.normal(x.shape)
    loss, grads = nnx.value_and_grad(lambda model: jnp.mean((model(x) - x) ** 2))(model)
    optimizer.update(model, grads)
    ema.update(model)
    return loss


def train(run, steps):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # Flax and Optax promote
        return [float(step(**run, x=jax.random.normal(jax.random.key(n), (8, 4)))) for n in steps]


def bits(nodes):
    """Return type, dtype, shape and bytes of each leaf, by path; of an abstract one, what there is."""
    found = {}
    for path, leaf in nnx.to_flat_state(nnx.state(nodes)):
        found[path] = [type(leaf)]
        for x in jax.tree.leaves(leaf):
            if isinstance(x, jax.ShapeDtypeStruct):
                found[path] += [x.dtype, x.shape]
                continue
            array = jnp.asarray(x)
            is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
            numbers = np.asarray(jax.random.key_data(array) if is_key else array)
            found[path] += [array.dtype, array.shape, numbers.tobytes()]
    return found


def in_new_process(function, *arguments):
    """Call a function of this module in a process of its own, and return its exit code."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["jax", "flax.nnx", "optax", "orbax.checkpoint", "nnx_state"])
    process = context.Process(target=function, args=arguments)
    process.start()
    try:
        process.join(60)
        return process.exitcode
    finally:
        process.kill()
        process.join()


def go_on(folder, steps):
    run = nnx.eval_shape(build)
    losses = train(run, range(restore_checkpoint(folder, **run), steps))
    Path(folder, "losses").write_text(json.dumps(losses), "utf-8")
    save_checkpoint(folder, steps, **run)


@pytest.mark.parametrize("make", [lambda: build(1), lambda: nnx.eval_shape(build)], ids=["built", "abstract"])
def test_a_resumed_run_is_bit_identical(make, tmp_path):
    whole = build()
    fresh = bits(whole)
    train(whole, range(3))
    save_checkpoint(tmp_path, 3, **whole)
    unchanged = {path for path, content in bits(whole).items() if content == fresh[path]}
    assert {path[-1] for path in unchanged} == {"key"}  # so each other leaf has something to lose
    losses = train(whole, range(3, 6))
    resumed = make()
    assert restore_checkpoint(tmp_path, **resumed) == 3
    assert train(resumed, range(3, 6)) == losses
    assert bits(resumed) == bits(whole)
    assert resumed["model"].tied is resumed["model"].layers[0].scale


def test_a_run_resumes_in_another_process(tmp_path):
    whole = build()
    train(whole, range(2))
    save_checkpoint(tmp_path, 2, **whole)
    assert in_new_process(go_on, tmp_path, 4) == 0
    assert json.loads((tmp_path / "losses").read_text("utf-8")) == train(whole, range(2, 4))
    resumed = build(1)
    assert restore_checkpoint(tmp_path, **resumed) == 4
    assert bits(resumed) == bits(whole)


def small(number):
    return {"model": nnx.Dict(weight=nnx.Param(jnp.full(3, number, float))), "rngs": nnx.Rngs(number)}


def save_and_die(folder, stage):
    """Save the steps 1 and 2, and die at the given write of the second save, as by `kill -9`; 0 only counts them."""
    writes = 0
    is_second = False

    def hook(event, arguments):
        nonlocal writes
        opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if is_second and (opens or event in {"os.mkdir", "os.rename", "os.remove"}):
            writes += 1
            if writes == stage:
                os.kill(os.getpid(), 9)

    sys.addaudithook(hook)
    save_checkpoint(folder, 1, **small(1))
    is_second = True
    save_checkpoint(folder, 2, **small(2))
    is_second = False
    (folder / "writes").write_text(str(writes), "utf-8")


def test_a_save_that_is_killed_leaves_the_last_checkpoint(tmp_path):
    assert in_new_process(save_and_die, tmp_path / "0", 0) == 0
    stages = range(1, int((tmp_path / "0" / "writes").read_text("utf-8")) + 1)
    assert len(stages) > 5
    with ThreadPoolExecutor(2) as pool:
        codes = pool.map(lambda stage: in_new_process(save_and_die, tmp_path / str(stage), stage), stages)
        assert {abs(code) for code in codes} == {9}
    for stage in stages:
        folder = tmp_path / str(stage)
        assert latest_step(folder) == 1
        run = small(0)
        assert restore_checkpoint(folder, **run) == 1
        assert bits(run) == bits(small(1))
        save_checkpoint(folder, 2, **small(2))  # what the other left does not disturb
        assert restore_checkpoint(folder, **run) == 2
        assert bits(run) == bits(small(2))


def test_an_exception_in_a_save_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, **small(1))
    with monkeypatch.context() as patch:
        patch.setattr("os.rename", lambda *arguments, **keywords: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            save_checkpoint(tmp_path, 2, **small(2))
    assert latest_step(tmp_path) == 1
    save_checkpoint(tmp_path, 2, **small(2))
    run = small(0)
    assert restore_checkpoint(tmp_path, **run) == 2
    assert bits(run) == bits(small(2))


def test_a_checkpoint_that_cannot_be_read_changes_nothing(tmp_path):
    save_checkpoint(tmp_path, 1, **small(1))
    for path in [*(tmp_path / "1").rglob("d/*"), *(tmp_path / "1").rglob("manifest.ocdbt")]:
        path.unlink()
    run = small(0)
    with pytest.raises(Exception, match=r"[Nn]o|missing|read"):
        restore_checkpoint(tmp_path, **run)
    assert bits(run) == bits(small(0))


def test_every_kind_of_value_comes_back(tmp_path):
    def make(number):
        model = nnx.Dict(rbg=nnx.Variable(jax.random.key(number, impl="rbg")))
        model.keys = nnx.Variable(jax.random.split(jax.random.key(number), 3))
        for dtype in ("bool", "int4", "uint8", "int32", "float8_e4m3fn", "bfloat16", "float16", "float32", "complex64"):
            model[dtype] = nnx.Variable(jnp.full(3, number, dtype))
        model.tree = Buffer({"a": jnp.full(2, number), "b": [jnp.full((), number, jnp.int8)], "c": None})
        model.number, model.numpy = Buffer(number), Buffer(np.full(2, number, np.int64))
        model.weak = nnx.Param(jnp.asarray(float(number)))
        return model

    model, fresh = make(1), make(0)
    save_checkpoint(tmp_path, 0, model=model)
    variables = [leaf for _, leaf in nnx.to_flat_state(nnx.state(fresh))]
    assert restore_checkpoint(tmp_path, model=fresh) == 0
    assert bits(fresh) == bits(model)
    assert [leaf for _, leaf in nnx.to_flat_state(nnx.state(fresh))] == variables
    assert type(fresh.number.get_value()) is int
    assert fresh.numpy.get_value().dtype == np.int64
    assert (model.weak[...].weak_type, fresh.weak[...].weak_type) == (True, False)


def test_buffers_that_were_donated_are_filled_again(tmp_path):
    run = small(1)
    save_checkpoint(tmp_path, 1, **run)
    jax.jit(lambda state: jax.tree.map(jnp.negative, state), donate_argnums=0)(nnx.state(run["model"]))
    assert run["model"].weight[...].is_deleted()
    restore_checkpoint(tmp_path, **run)
    assert bits(run) == bits(small(1))


def test_a_variable_of_two_nodes_is_saved_once(tmp_path):
    def make(number):
        run = small(number)
        return run | {"tied": nnx.Dict(weight=run["model"].weight, own=nnx.Param(jnp.full(1, float(number))))}

    save_checkpoint(tmp_path, 1, **make(1))
    run = make(0)
    restore_checkpoint(tmp_path, **run)
    assert bits(run) == bits(make(1))
    assert run["tied"].weight is run["model"].weight
    with pytest.raises(ValueError, match=r"tied\.weight is missing there, Param float32\[3\] here"):
        restore_checkpoint(tmp_path, tied=make(0)["tied"])


def test_one_node_and_one_step_can_be_restored(tmp_path):
    for number in (1, 2):
        save_checkpoint(tmp_path, number, **small(number))
    run = small(0)
    assert restore_checkpoint(tmp_path, 1, model=run["model"]) == 1
    assert bits(run) == bits({"model": small(1)["model"], "rngs": small(0)["rngs"]})


def test_scratch_is_neither_saved_nor_restored(tmp_path):
    def make(kind, number):
        return nnx.Dict(weight=nnx.Param(jnp.full(1, float(number))), last=kind(jnp.full(1, float(number))))

    save_checkpoint(tmp_path, 1, model=make(Scratch, 1))
    model = make(Scratch, 0)
    restore_checkpoint(tmp_path, model=model)
    assert (model.weight[0], model.last[0]) == (1, 0)
    with pytest.raises(ValueError, match=r"model\.last is missing there, Buffer float32\[1\] here"):
        restore_checkpoint(tmp_path, model=make(Buffer, 0))
    with pytest.raises(ValueError, match=r"model\.last is left out, yet abstract here"):
        restore_checkpoint(tmp_path, model=nnx.eval_shape(lambda: make(Scratch, 0)))


def two_layers(number, **more):
    layers = nnx.List([nnx.Dict(kernel=nnx.Param(jnp.full(2, float(number)))) for _ in range(2)])
    return nnx.Dict(layers=layers, count=Buffer(jnp.full((), number)), **more)


@pytest.mark.parametrize(
    ("skip", "changed"),
    [
        (None, {"count", 0, 1}),
        (Buffer, {0, 1}),
        (nnx.Not(nnx.Param), {0, 1}),
        (nnx.PathContains("model"), set()),
        (nnx.PathContains(1), {"count", 0}),
        ([Attribute("count"), nnx.PathContains(0)], {1}),
    ],
)
def test_what_is_skipped_keeps_its_value(skip, changed, tmp_path):
    save_checkpoint(tmp_path, 1, model=two_layers(1), other=small(1)["model"])
    model, other = two_layers(0), small(0)["model"]
    restore_checkpoint(tmp_path, model=model, other=other, skip=skip)
    values = {"count": model.count[...], 0: model.layers[0].kernel[0], 1: model.layers[1].kernel[0]}
    assert {name for name, value in values.items() if value == 1} == changed
    assert other.weight[0] == 1


@pytest.mark.parametrize(
    ("make", "skip"),
    [
        (lambda: two_layers(0, scale=nnx.Param(jnp.ones(1))), nnx.PathContains("scale")),
        (lambda: nnx.Dict(layers=two_layers(0).layers), nnx.PathContains("count")),
        (
            lambda: nnx.Dict(layers=nnx.List([two_layers(0).layers[0]]), count=Buffer(jnp.zeros((), int))),
            nnx.PathContains(1),
        ),
        (lambda: nnx.Dict(layers=two_layers(0).layers, count=nnx.Param(jnp.zeros(3))), Attribute("count")),
    ],
    ids=["gained", "lost", "lost in a list", "other type and shape"],
)
def test_a_difference_must_be_skipped(make, skip, tmp_path):
    save_checkpoint(tmp_path, 1, model=two_layers(1))
    model = make()
    before = bits(model)
    with pytest.raises(ValueError, match="Nothing was written"):
        restore_checkpoint(tmp_path, model=model)
    assert bits(model) == before
    restore_checkpoint(tmp_path, model=model, skip=skip)
    assert model.layers[0].kernel[0] == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"count": Buffer(jnp.zeros(()))}, "model.count is Buffer int32[] there, Buffer float32[] here"),
        ({"count": Buffer(jnp.zeros(1, int))}, "model.count is Buffer int32[] there, Buffer int32[1] here"),
        ({"count": nnx.Param(jnp.zeros((), int))}, "model.count is Buffer int32[] there, Param int32[] here"),
        ({"count": jnp.zeros((), int)}, "model.count is Buffer int32[] there, array int32[] here"),
        ({"count": Buffer(np.zeros((), np.int64))}, "model.count is Buffer int32[] there, Buffer int64[] here"),
        (
            {"count": Buffer({"a": jnp.zeros((), int)})},
            "model.count is Buffer int32[] there, Buffer {'a': 'int32[]'} here",
        ),
        ({"new": nnx.Param(jnp.zeros(1))}, "model.new is missing there, Param float32[1] here"),
        ({"count": None}, "model.count is Buffer int32[] there, missing here"),
    ],
)
def test_a_difference_is_named_and_nothing_is_written(change, fault, tmp_path):
    save_checkpoint(tmp_path, 1, model=two_layers(1), optimizer=small(1)["model"])
    model, optimizer = two_layers(0), small(0)["model"]
    for name, value in change.items():
        delattr(model, name) if hasattr(model, name) else None
        if value is not None:
            setattr(model, name, nnx.data(value) if isinstance(value, jax.Array) else value)
    before = bits([model, optimizer])
    with pytest.raises(ValueError, match="the checkpoint must have") as caught:
        restore_checkpoint(tmp_path, model=model, optimizer=optimizer)
    assert str(caught.value) == (
        f"the checkpoint must have the leaves of model, optimizer, got: {fault}. "
        "Nothing was written: build the run as it was saved, not abstract where a leaf is left out; "
        "skip=nnx.PathContains('bias') leaves one out."
    )
    assert bits([model, optimizer]) == before


@given(st.sets(st.integers(0, 2**31 - 1)), st.sets(st.integers(-5, -1)))
def test_the_last_step_is_the_largest_number(steps, others):
    with tempfile.TemporaryDirectory() as folder:
        for name in [*steps, *others, "notes", "9.orbax-checkpoint-tmp", "1e9", "1.5"]:
            Path(folder, str(name)).mkdir()
        assert latest_step(folder) == (max(steps) if steps else None)


def test_a_folder_may_be_a_path_a_name_or_to_come(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert latest_step("a/run") is None
    save_checkpoint("a/run", np.int32(0), **small(0))
    save_checkpoint(tmp_path / "a" / "run", jnp.uint32(1), **small(1))
    save_checkpoint(str(tmp_path / "a" / "run"), 2.0, **small(2))
    assert sorted(path.name for path in (tmp_path / "a" / "run").iterdir()) == ["0", "1", "2"]
    run = small(7)
    assert [restore_checkpoint(Path("a/run"), step, **run) for step in (0, 1, None)] == [0, 1, 2]
    assert bits(run) == bits(small(2))


def sharded(folder):
    import jax
    import jax.numpy as jnp
    from flax import nnx
    from jax.sharding import PartitionSpec

    from nnx_state import restore_checkpoint, save_checkpoint

    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    over, whole = (jax.sharding.NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["data"], []))
    numbers = jnp.arange(8.0)
    save_checkpoint(folder, 1, model=nnx.Dict(weight=nnx.Param(jax.device_put(numbers, over))))
    shardings = []
    for make in (
        lambda: nnx.Dict(weight=nnx.Param(jax.device_put(jnp.zeros(8), over))),
        lambda: nnx.Dict(weight=nnx.Param(jax.device_put(jnp.zeros(8), whole))),
        lambda: nnx.Dict(weight=nnx.Param(jax.ShapeDtypeStruct((8,), "float32", sharding=over))),
        lambda: nnx.Dict(weight=nnx.Param(jax.ShapeDtypeStruct((8,), "float32"))),
    ):
        model = make()
        restore_checkpoint(folder, model=model)
        assert (model.weight[...] == numbers).all()
        shardings.append((len(model.weight.sharding.device_set), model.weight.sharding.is_fully_replicated))
    return shardings


def test_a_restored_array_lies_where_that_of_the_model_lay(tmp_path):
    (shardings,) = run_on_devices(sharded, str(tmp_path), devices=4)
    assert shardings == [(4, False), (4, True), (4, False), (1, True)]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda folder: save_checkpoint(folder, "2", **small(0)), TypeError, "step must be a whole number"),
        (lambda folder: save_checkpoint(folder, -1, **small(0)), ValueError, "got -1: choose"),
        (lambda folder: save_checkpoint(folder, 2**31, **small(0)), ValueError, "got 2147483648: choose"),
        (lambda folder: save_checkpoint(folder, 1, **small(0)), ValueError, "last in the folder, got 1"),
        (lambda folder: save_checkpoint(folder, 0, **small(0)), ValueError, "last in the folder, got 0"),
        (lambda folder: save_checkpoint(folder, 2), ValueError, "got no node"),
        (lambda folder: save_checkpoint(folder, 2, a=nnx.Dict(), b=nnx.Dict()), ValueError, "got a, b: pass"),
        (lambda folder: save_checkpoint(folder, 2, model=[small(0)["model"]]), TypeError, "model must be an object"),
        (
            lambda folder: save_checkpoint(folder, 2, **nnx.eval_shape(lambda: small(0))),
            ValueError,
            "got none in model.weight",
        ),
        (lambda folder: nnx.jit(lambda run: save_checkpoint(folder, 2, **run))(small(0)), ValueError, "hold numbers"),
        (lambda folder: save_checkpoint(folder, 2, m=nnx.Dict(w=Buffer(jnp.zeros((2, 0))))), ValueError, "m.w (Buffer"),
        (lambda folder: save_checkpoint(f"file://{folder}", 2, **small(0)), ValueError, "must be one of this machine"),
        (lambda folder: restore_checkpoint(folder / "other", **small(0)), FileNotFoundError, "one of [], those in"),
        (lambda folder: restore_checkpoint(folder, 2, **small(0)), FileNotFoundError, "one of [1], those in"),
        (lambda folder: restore_checkpoint(folder), ValueError, "skipped, got no node"),
        (lambda folder: restore_checkpoint(folder, model=1), TypeError, "got a int"),
        (lambda folder: restore_checkpoint(folder, **small(0), skip=...), ValueError, "got model, rngs"),
        (lambda folder: latest_step("gs://bucket"), ValueError, "got gs://bucket"),
    ],
)
def test_a_call_that_cannot_work_writes_nothing(call, error, text, tmp_path):
    save_checkpoint(tmp_path, 1, **small(1))
    with pytest.raises(error, match=re.escape(text)):
        call(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_checkpoint_of_another_kind_is_refused(tmp_path):
    run = small(0)
    with ocp.StandardCheckpointer() as orbax:
        orbax.save(tmp_path / "1", nnx.state(run))
    (tmp_path / "2").mkdir()
    for number in (1, 2):
        with pytest.raises(ValueError, match=f"step {number} must come from save_checkpoint, got another"):
            restore_checkpoint(tmp_path, number, **run)
