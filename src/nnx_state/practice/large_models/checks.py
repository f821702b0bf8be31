"""Checks of the exercise Large models, on eight CPUs that stand for devices, in one process.

First a run that begins: which numbers its model has, where they lie, and whether they were ever whole. Then three saves
of a model with numbers of its own, and what they leave in the folder. Last a run that goes on, on another mesh. What
a run that goes on shows rests on the saves before it.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import needs
from nnx_state.practice.state import copied, held
from nnx_state.practice.trials import tried
from nnx_state.practice.values import close, content, describe, described, listed, numbered, raw

# Before anything makes an array, and before the attempt runs.
jax.config.update("jax_num_cpu_devices", 8)  # type: ignore[no-untyped-call]

AXES = ("data", "model")
STEPS = (3, 5, 11)
PLACES = {"kernel": (None, "model"), "down": ("model", None)}  # everything else is replicated
RAISED = {
    "An auto mesh context or metadata is required": "no-mesh",
    "_device_assignment is not implemented": "abstract-mesh",
    "do not match": "mismatch",
    "Structure mismatch": "mismatch",
    "No steps found": "empty",
}


class Table(nnx.Variable[Any]):
    """A type of Variable that the attempt cannot know."""


class Model(nnx.Module):
    """Two Params that are cut, and state of other types that is not."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(7)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (4, 8)), out_sharding=PLACES["kernel"])
        self.down = nnx.Param(jax.random.normal(rngs.params(), (8, 4)), out_sharding=PLACES["down"])
        self.table = Table(jnp.zeros(3, jnp.int32))
        self.dropout = nnx.Dropout(0.5, rngs=rngs)


def beginning(attempt: Attempt) -> Iterator[Finding]:
    """Without a checkpoint, the model is new, in its place on the mesh, and was nowhere whole."""
    attempt.function("save", "folder", "step", "model")
    attempt.function("begin", "folder", "build", "mesh")
    mesh = jax.make_mesh((2, 4), AXES)
    model, step, drawn = _begun(attempt, Path.cwd() / "new", mesh)
    line = attempt.line("begin")
    with jax.set_mesh(mesh):
        wanted = copied(Model())
    if step != 0:
        yield Finding("first-step", "begin", f"without a checkpoint, the step is {step}", "0", line)
    if other := _other(model, wanted, close):
        seen = f"without a checkpoint, `{other}` has other numbers than `build` gives it"
        yield Finding("numbers", "begin", seen, "the numbers of `build`", line)
    yield from _places(model, mesh, line)
    if any(drawn):
        seen = "`build` ran outside of compiled code"
        yield Finding("eager", "begin", seen, "`build` inside of `nnx.jit` or `jax.jit`", line)


def saving(attempt: Attempt) -> Iterator[Finding]:
    """A save is complete when it returns, leaves the model as it was, and the last two checkpoints in the folder."""
    line, folder = attempt.line("save"), _folder()
    for step in STEPS:
        model = _trained(step)
        before = copied(model)
        what = "save(folder, step, model)"
        returned = attempt.call(what, folder=str(folder), step=step, model=model)
        running = _wait()
        if returned is not None:
            raise Stop(Finding("result-type", "save", f"it returns {describe(returned)}", "None", line))
        if running or not (folder / str(step)).is_dir():
            kind = "unfinished" if running else "absent"
            seen = f"when it returns, the folder has {listed(_steps(folder)) or 'no checkpoint'}"
            raise Stop(Finding(kind, "save", seen, f"the checkpoint of step {step}", line))
        if other := _other(model, before):
            raise Stop(Finding("changed", "save", f"`{other}` has changed", "the model stays as it was", line))
    kept = _steps(folder)
    if kept != [str(step) for step in STEPS[-2:]]:
        seen = f"after the steps {listed(STEPS)}, the folder has {listed(kept)}"
        yield Finding("kept", "save", seen, listed(STEPS[-2:]), line)


@needs(beginning)
def resuming(attempt: Attempt) -> Iterator[Finding]:
    """With checkpoints, the model is the last one, in its place on another mesh."""
    line, mesh = attempt.line("begin"), jax.make_mesh((1, 8), AXES)
    if not _steps(_folder()):
        return
    model, step, drawn = _begun(attempt, _folder(), mesh)
    with jax.set_mesh(mesh):
        new = copied(Model())
    wanted = copied(_trained(STEPS[-1]))
    lost = [path for path, value in wanted.items() if not _same(raw(held(model)[path]), value)]
    if lost:
        others = {step: copied(_trained(step)) for step in STEPS[:-1]}
        if any(not _other(model, numbers) for numbers in others.values()):
            kind, what = "older", "an older checkpoint"
        elif not _other(model, new, close):
            kind, what = "anew", "what `build` gives it"
        else:
            kind, what = "lost", f"other numbers than were saved at {listed(lost[:3])}"
        raise Stop(Finding(kind, "begin", f"with checkpoints, the model has {what}", "the last checkpoint", line))
    if step != STEPS[-1]:
        yield Finding("step", "begin", f"the step is {step}", f"{STEPS[-1]}, that of the last checkpoint", line)
    yield from _places(model, mesh, line)
    if any(drawn):
        seen = "`build` ran outside of compiled code, although the numbers come from the checkpoint"
        yield Finding("drawn", "begin", seen, "`build` for shapes alone", line)


STAGES = (beginning, saving, resuming)


def _folder() -> Path:
    return Path.cwd() / "run"


def _trained(step: int) -> Model:
    """Return a model on the mesh of the saves, each leaf of which has numbers that no other step gives it."""
    mesh = jax.make_mesh((2, 4), AXES)

    def number(index: int, leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            whole = jax.NamedSharding(mesh, jax.P())  # type: ignore[no-untyped-call]  # JAX has no annotations here
            return jax.device_put(jax.random.key(100 * step + index), whole)
        numbers = np.arange(leaf.size).reshape(leaf.shape) + 100 * step + 10 * index
        return jax.device_put(numbers.astype(leaf.dtype), jax.NamedSharding(mesh, leaf.sharding.spec))

    with jax.set_mesh(mesh):
        model: Model = numbered(Model, number)
    return model


def _begun(attempt: Attempt, folder: Path, mesh: jax.sharding.Mesh) -> tuple[Any, int, list[bool]]:
    """Begin a run, and return its model, its step, and for each call of `build` whether it made numbers.

    Raises:
        Stop: If it raises what is known, or returns something else.
    """
    drawn: list[bool] = []

    def build() -> Model:
        model = Model()
        drawn.append(not isinstance(content(model.kernel), jax.core.Tracer))
        return model

    what, line = "begin(folder, build, mesh)", attempt.line("begin")
    returned = tried(attempt, what, "begin", RAISED, line, folder=str(folder), build=build, mesh=mesh)
    ok = isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], nnx.Module)
    if not ok or type(returned[1]) is not int:
        raise Stop(Finding("result-type", "begin", described(returned), "(model, step)", line))
    model, step = returned
    leaves = held(model)
    with jax.set_mesh(mesh):
        wanted = held(nnx.eval_shape(Model))
    odd = [path for path in wanted | leaves if type(leaves.get(path)) is not type(wanted.get(path))]
    if odd:
        raise Stop(Finding("structure", "begin", f"other leaves at {listed(odd)}", "the leaves of `build`", line))
    if hollow := [path for path, leaf in leaves.items() if not isinstance(content(leaf), jax.Array)]:
        seen = f"`{hollow[0]}` is {describe(content(leaves[hollow[0]]))}"
        raise Stop(Finding("hollow", "begin", seen, "an array of JAX", line))
    return model, step, drawn


def _places(model: Any, mesh: jax.sharding.Mesh, line: int | None) -> Iterator[Finding]:
    """Each leaf lies on the mesh as its annotation says."""
    arrays = {path: content(leaf) for path, leaf in held(model).items()}
    specs = {path: jax.P(*PLACES.get(path, ())) for path in arrays}  # type: ignore[no-untyped-call]  # as above
    wanted = {path: jax.NamedSharding(mesh, spec) for path, spec in specs.items()}
    wrong = [path for path, array in arrays.items() if not array.sharding.is_equivalent_to(wanted[path], array.ndim)]
    if not wrong:
        return
    path = next((path for path in wrong if path in PLACES), wrong[0])
    place = arrays[path].sharding
    whole = place.shard_shape(arrays[path].shape) == arrays[path].shape and path in PLACES
    kind = "whole" if whole else "place"
    held_there = f"a device has {place.shard_shape(arrays[path].shape)} of `{path}`"
    seen = f"{held_there}, on {len(place.device_set)} devices"
    expected = f"{wanted[path].shard_shape(arrays[path].shape)}, on {mesh.size} devices"
    yield Finding(kind, "begin", seen, expected, line)


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    return one.dtype == two.dtype and one.shape == two.shape and np.array_equal(one, two)


def _other(model: Any, wanted: dict[str, np.ndarray], alike: Callable[[Any, Any], bool] = _same) -> str:
    """Return the path of the first leaf that has other numbers than these, or nothing.

    A draw is compared with `close`, because a compiled one may round otherwise.
    """
    own = copied(model)
    return next((path for path, value in wanted.items() if not alike(own[path], value)), "")


def _steps(folder: Path) -> list[str]:
    """Return the steps whose checkpoints are in a folder, in their order."""
    return sorted((path.name for path in folder.glob("*") if path.name.isdecimal()), key=int)


def _wait() -> bool:
    """Let a save in the background end, and tell whether there was one."""
    running = [one for one in threading.enumerate() if one.name.startswith(("async_save", "save_finalize"))]
    for thread in running:
        thread.join(10)
    return bool(running)
