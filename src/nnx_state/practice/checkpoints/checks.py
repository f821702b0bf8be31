"""Checks of the exercise Checkpoints."""

import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, content, describe, numbers

STEP = 41
ADAMW = optax.adamw(0.1)
GROUPS = ("params", "batch-stats", "streams", "table", "plain", "optimizer")


class Table(nnx.Variable[Any]):
    """A type of Variable that the attempt cannot know."""


def build() -> tuple[Any, Any]:
    """Return a new run, whose model has each kind of state."""
    rngs = nnx.Rngs(0)
    layers = nnx.Linear(4, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)
    model: Any = nnx.Sequential(*layers)
    model.table = Table(jnp.zeros(3, jnp.int32))
    model.plain = nnx.data(jnp.zeros(()))
    return model, nnx.Optimizer(model, ADAMW, wrt=nnx.Param)


def filled(start: int) -> tuple[Any, Any]:
    """Return a run in which each leaf has numbers of its own, as after some training."""
    run = build()

    def number(index: int, leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.key(start + index)
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            return jnp.full(leaf.shape, start + index, leaf.dtype)
        return jnp.linspace(1.0, 2.0, leaf.size, dtype=leaf.dtype).reshape(leaf.shape) * (start + index) / 100

    leaves, structure = jax.tree.flatten(nnx.state(run))
    nnx.update(run, jax.tree.unflatten(structure, [number(*pair) for pair in enumerate(leaves)]))
    return run


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    attempt.function("save", "path", "step", "model", "optimizer")
    attempt.function("resume", "path", "build")
    yield from ()


def saving(attempt: Attempt) -> Iterator[Finding]:
    """A save leaves a whole checkpoint of Orbax when it returns, and the model as it was."""
    folder, line = Path.cwd() / "run", attempt.line("save")
    folder.mkdir(exist_ok=True)
    model, optimizer = filled(100)
    before = _leaves(filled(100))
    path = str(folder / "mine")
    returned = attempt.call(
        "save(path, step, model, optimizer)", path=path, step=STEP, model=model, optimizer=optimizer
    )
    made, measured = sorted(file.name for file in folder.iterdir()), _wait()
    if made != ["mine"] or measured:
        seen = f"when it returns, the folder has {', '.join(made) or 'nothing'}"
        kind = "unfinished" if measured else "path"
        raise Stop(Finding(kind, "save", seen, "the folder `path`, whole", line, measured))
    if not [*Path(path).rglob("_METADATA")]:
        seen = f"`path` is {'a folder' if Path(path).is_dir() else 'a file'} without the metadata of Orbax"
        raise Stop(Finding("not-orbax", "save", seen, "a checkpoint of Orbax", line))
    if returned is not None:
        yield Finding("result-type", "save", f"it returns {describe(returned)}", "None", line)
    after = _leaves((model, optimizer))
    if changed := [name for name, value in before.items() if not _same(after.get(name), value)]:
        yield Finding("changed", "save", f"it changed {', '.join(changed)}", "the run stays as it was", line)


def resuming(attempt: Attempt) -> Iterator[Finding]:
    """A resume brings every leaf back, from shapes."""
    other, run, drawn, line = filled(500), filled(100), list[bool](), attempt.line("resume")
    path, later = (str(Path.cwd() / "run" / name) for name in ("mine", "later"))
    attempt.call("save(path, step, *run)", path=later, step=STEP + 9, run=other)

    def counted() -> tuple[Any, Any]:
        new = build()
        drawn.append(not isinstance(new[0].layers[0].kernel.get_raw_value(), jax.core.Tracer))
        return new

    try:
        returned = attempt.call("resume(path, build)", path=path, build=counted)
    except (KeyError, ValueError) as error:
        said = " ".join(str(error).split())
        kinds = {"Invalid key": "pattern", "do not match": "mismatch", "Structure mismatch": "mismatch"}
        if not (kind := next((kind for text, kind in kinds.items() if text in said), "")):
            raise
        raise Stop(Finding(kind, "resume", f"{said[:120]} …", "the pattern of what was saved", line)) from None
    if not isinstance(returned, (tuple, list)) or len(returned) != 3 or not _is_run(returned):
        seen = describe(returned)
        if isinstance(returned, (tuple, list)):
            seen = f"({', '.join(describe(part) for part in returned)})"
        raise Stop(Finding("result-type", "resume", seen, "(model, optimizer, step)", line))
    yield from _compared(attempt, Path(path), run, (returned[0], returned[1]))
    if type(returned[2]) is not int:
        yield Finding("type", "step", describe(returned[2]), f"the int {STEP}", line)
    if returned[2] != STEP:
        yield Finding("value", "step", f"it is {returned[2]}", f"{STEP}, as it was saved", line)
    if any(drawn):
        seen = f"`build` ran with numbers, {drawn.count(True)} of {len(drawn)} times"
        yield Finding("drawn", "build", seen, "`build` under `nnx.eval_shape`, once", line)
    elif len(drawn) != 1:
        yield Finding("calls", "build", f"`build` ran {len(drawn)} times", "once", line)


STAGES = (names, saving, resuming)


def _wait() -> str:
    """Let a save in the background end, and say how long it took."""
    start, running = time.perf_counter(), [one for one in threading.enumerate() if one.name.startswith("async_save")]
    for thread in running:
        thread.join(10)
    took = f"{1000 * (time.perf_counter() - start):.0f} ms"
    return f"The checkpoint was complete {took} after `save` had returned." if running else ""


def _is_run(returned: Any) -> bool:
    return isinstance(returned[0], nnx.Module) and isinstance(returned[1], nnx.Optimizer)


def _leaves(run: tuple[Any, Any]) -> dict[str, Any]:
    """Return each leaf by its path, which begins with `model` or `optimizer`."""
    parts = zip(("model", "optimizer"), run, strict=True)
    flat = [(name, *pair) for name, node in parts for pair in nnx.to_flat_state(nnx.state(node))]
    return {".".join([name, *map(str, path)]): leaf for name, path, leaf in flat}


def _group(path: str, leaf: Any) -> str:
    types = (nnx.Param, "params"), (nnx.BatchStat, "batch-stats"), (nnx.RngState, "streams"), (Table, "table")
    if path.startswith("optimizer"):
        return "optimizer"
    return next((name for kind, name in types if isinstance(leaf, kind)), "plain")


def _bits(leaf: Any) -> Any:
    """Return the numbers of a leaf, a key's too, or None of a shape."""
    value = content(leaf)
    if isinstance(value, jax.ShapeDtypeStruct) or value is None:
        return None
    is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(value) if is_key else value)


def _same(one: Any, two: Any) -> bool:
    one, two = _bits(one), _bits(two)
    return one is not None and two is not None and one.dtype == two.dtype and np.array_equal(one, two)


def _compared(attempt: Attempt, path: Path, run: tuple[Any, Any], resumed: tuple[Any, Any]) -> Iterator[Finding]:
    """Compare what came back with what was saved, group by group."""
    wanted, found, first, line = _leaves(run), _leaves(resumed), _leaves(build()), attempt.line("resume")
    odd = [name for name in {**wanted, **found} if _kind(found.get(name)) is not _kind(wanted.get(name))]
    if odd:
        yield Finding("structure", "run", f"other leaves at {', '.join(odd)}", "the leaves of `build`", line)
        return
    lost = {name: leaf for name, leaf in found.items() if not _same(leaf, wanted[name])}
    hollow = [name for name, leaf in lost.items() if _bits(leaf) is None]
    initial = [name for name, leaf in lost.items() if _same(leaf, first[name])]
    disk = _on_disk(path) if lost else []
    saved = [name for name, leaf in wanted.items() if any(np.array_equal(_bits(leaf), array) for array in disk)]
    if len(found) in (len(hollow), len(initial)):
        kind, what = ("abstract", "shapes") if hollow else ("initial", "its first numbers")
        seen = f"each of the {len(found)} leaves has {what}; the checkpoint holds {len(saved)} of them"
        yield Finding(kind, "run", seen, "the numbers that were saved", line)
        return
    if differs := [name for name in lost if name not in hollow + initial]:
        near = all(np.allclose(_bits(found[name]), _bits(wanted[name]), rtol=0.02) for name in differs)
        name = differs[0]
        seen = f"{name} is {found[name].dtype} {numbers(_bits(found[name]))}"
        expected = f"{wanted[name].dtype} {numbers(_bits(wanted[name]))}, bit for bit"
        yield Finding("rounded" if near else "differ", "leaves", seen, expected, line)
    groups = {group: [name for name in hollow + initial if _group(name, wanted[name]) == group] for group in GROUPS}
    names = {group: (group, "forgotten") for group in GROUPS}
    if all(groups[group] for group in GROUPS[1:-1]):
        names = {"": ("model", "forgotten" if groups["params"] else "params-only"), "optimizer": names["optimizer"]}
        groups[""] = [name for group in GROUPS[:-1] for name in groups[group]]
    for group, (about, kind) in [(group, name) for group, name in names.items() if groups[group]]:
        paths = groups[group]
        place = "saved, but not written back" if paths[0] in saved else "not in the checkpoint"
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        seen = f"{', '.join(paths[:3])}{more}: {'shapes' if paths[0] in hollow else 'first numbers'}, {place}"
        at = line if paths[0] in saved else attempt.line("save")
        measured = "" if hollow else _damage(group, run, resumed)
        yield Finding(kind, about, seen, "the numbers that were saved", at, measured)
    if loose := [
        name for name, leaf in found.items() if isinstance(content(leaf), (np.ndarray, np.generic, int, float))
    ]:
        seen = f"{loose[0]} and {len(loose) - 1} more leaves are no arrays of JAX"
        yield Finding("numpy", "leaves", seen, "arrays of JAX", line)
    if evaluates := [type(node).__name__ for _, node in nnx.iter_modules(resumed[0]) if _evaluates(node)]:
        seen = f"{', '.join(evaluates)} in evaluation mode"
        yield Finding("eval", "model", seen, "training mode, as `build` makes it", line)
    elif nnx.graphdef(resumed) != nnx.graphdef(run):
        yield Finding("structure", "run", "another structure than `build` makes", "the same structure", line)


def _on_disk(path: Path) -> list[Any]:
    """Return the arrays of a checkpoint, in whatever tree it has them."""
    with ocp.PyTreeCheckpointer() as orbax, warnings.catch_warnings(action="ignore"):
        trees = [orbax.restore(file.parent.absolute()) for file in path.rglob("_METADATA")]
    return [_bits(leaf) for leaf in jax.tree.leaves(trees) if not isinstance(leaf, str)]


def _damage(group: str, run: Any, resumed: Any) -> str:
    """Say what the next step shows of what was forgotten."""
    if group == "optimizer":
        steps = [int(optimizer.step[...]) for _, optimizer in (resumed, run)]
        return f"The next step is number {steps[0] + 1} for the optimizer; without the stop it is {steps[1] + 1}."
    losses = []
    for model, _ in (nnx.clone(run), nnx.clone(resumed)):
        x = jnp.linspace(-1.0, 1.0, 64).reshape(16, 4)
        loss = jnp.mean((model(x) - 1.0) ** 2)
        model.eval()
        losses.append((f"{loss:.4g}", f"{jnp.mean((model(x[:1]) - 1.0) ** 2):.4g}"))
    (train, evaluation), (train_now, evaluation_now) = losses
    if train != train_now:
        return f"The next step has the loss {train_now}; without the stop it has {train}."
    if evaluation != evaluation_now:
        return f"In evaluation mode the loss is {evaluation_now}; without the stop it is {evaluation}."
    return f"The next step has the loss {train} with the stop and without: nothing shows yet."


def _evaluates(node: Any) -> bool:
    return bool(getattr(node, "deterministic", False) or getattr(node, "use_running_average", False))


def _kind(leaf: Any) -> type | None:
    """Return the type of a Variable, and one type for all leaves without Variable."""
    return type(leaf) if isinstance(leaf, nnx.Variable) or leaf is None else jax.Array
