"""Checks of the exercise Checkpoints.

A run whose leaves all have numbers of their own is saved, and then resumed. After the save, its folder and the run
itself are looked at. After the resume, every leaf is compared with what was saved: what is missing is told by groups,
since a State is forgotten as a whole, and where it was lost is read off the checkpoint on the disk.
"""

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
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.state import held
from nnx_state.practice.values import array_of, content, describe, described, listed, numbered, numbers, ramp, raw

STEP = 41
ADAMW = optax.adamw(0.1)
GROUPS = ("params", "batch-stats", "streams", "table", "plain", "optimizer")
Run = tuple[Any, Any]  # a model and its optimizer
Leaves = dict[str, Any]


class Table(nnx.Variable[Any]):
    """A type of Variable that the attempt cannot know."""


def build() -> Run:
    """Return a new run, whose model has each kind of state."""
    rngs = nnx.Rngs(0)
    layers = nnx.Linear(4, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)
    model: Any = nnx.Sequential(*layers)
    model.table = Table(jnp.zeros(3, jnp.int32))
    model.plain = nnx.data(jnp.zeros(()))
    return model, nnx.Optimizer(model, ADAMW, wrt=nnx.Param)


def filled(start: int) -> Run:
    """Return a run in which each leaf has numbers of its own, as after some training."""

    def number(index: int, leaf: Any) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(array_of(np.array([0, start + index], np.uint32)))
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            return array_of(np.full(leaf.shape, start + index, leaf.dtype))
        share = (start + index) / 100
        return ramp(share, 2 * share, *leaf.shape)

    run: Run = numbered(build, number)
    return run


def names(attempt: Attempt) -> Iterator[Finding]:
    """`save` is there; `resume`, which reads what that writes, is looked for where it is tried."""
    attempt.function("save", "path", "step", "model", "optimizer")
    yield from ()


def saving(attempt: Attempt) -> Iterator[Finding]:
    """A save leaves a whole checkpoint of Orbax when it returns, and the model as it was."""
    folder, line = Path.cwd() / "run", attempt.line("save")
    folder.mkdir(exist_ok=True)
    path = folder / "mine"
    model, optimizer = filled(100)
    before = _copied((model, optimizer))
    call = "save(path, step, model, optimizer)"
    returned = attempt.call(call, path=str(path), step=STEP, model=model, optimizer=optimizer)
    made, measured = sorted(file.name for file in folder.iterdir()), _wait()
    if made != ["mine"] or measured:
        kind = "unfinished" if measured else "path"
        seen = f"when it returns, the folder has {listed(made)}"
        raise Stop(Finding(kind, "save", seen, "the folder `path`, whole", line, measured))
    if not [*path.rglob("_METADATA")]:
        seen = f"`path` is {'a folder' if path.is_dir() else 'a file'} without the metadata of Orbax"
        raise Stop(Finding("not-orbax", "save", seen, "a checkpoint of Orbax", line))
    if returned is not None:
        yield Finding("result-type", "save", f"it returns {describe(returned)}", "None", line)
    after = _copied((model, optimizer))
    if changed := [name for name, value in before.items() if not _same(after.get(name), value)]:
        yield Finding("changed", "save", f"it changed {', '.join(changed)}", "the run stays as it was", line)


def resuming(attempt: Attempt) -> Iterator[Finding]:
    """A resume brings every leaf back, from shapes, of the run that was saved under that path."""
    attempt.function("resume", "path", "build")
    run = filled(100)
    drawn = list[bool]()
    line = attempt.line("resume")
    path, later = (str(Path.cwd() / "run" / name) for name in ("mine", "later"))
    attempt.call("save(path, step, *run)", path=later, step=STEP + 9, run=filled(500))

    def counted() -> Run:
        new = build()
        drawn.append(not isinstance(content(new[0].layers[0].kernel), jax.core.Tracer))
        return new

    try:
        returned = attempt.call("resume(path, build)", path=path, build=counted)
    except (KeyError, ValueError) as error:
        said = " ".join(str(error).split())
        kinds = {"Invalid key": "pattern", "do not match": "mismatch", "Structure mismatch": "mismatch"}
        kind = next((kind for text, kind in kinds.items() if text in said), "")
        if not kind:
            raise
        raise Stop(Finding(kind, "resume", f"{said[:120]} …", "the pattern of what was saved", line)) from None
    if not _is_run_and_step(returned):
        raise Stop(Finding("result-type", "resume", described(returned), "(model, optimizer, step)", line))
    model, optimizer, step = returned
    yield from _compared(attempt, Path(path), run, (model, optimizer))
    if type(step) is not int:
        yield Finding("type", "step", describe(step), f"the int {STEP}", line)
    if step != STEP:
        yield Finding("value", "step", f"it is {step}", f"{STEP}, as it was saved", line)
    if any(drawn):
        seen = f"`build` ran with numbers, {drawn.count(True)} of {len(drawn)} times"
        yield Finding("drawn", "build", seen, "`build` under `nnx.eval_shape`, once", line)
    elif len(drawn) != 1:
        yield Finding("calls", "build", f"`build` ran {len(drawn)} times", "once", line)


STAGES = (names, saving, resuming)


def _wait() -> str:
    """Let a save in the background end, and say how long it took."""
    start = time.perf_counter()
    running = [one for one in threading.enumerate() if one.name.startswith("async_save")]
    for thread in running:
        thread.join(10)
    took = f"{1000 * (time.perf_counter() - start):.0f} ms"
    return f"The checkpoint was complete {took} after `save` had returned." if running else ""


def _is_run_and_step(returned: Any) -> bool:
    return (
        isinstance(returned, (tuple, list))
        and len(returned) == 3
        and isinstance(returned[0], nnx.Module)
        and isinstance(returned[1], nnx.Optimizer)
    )


def _leaves(run: Run) -> Leaves:
    """Return each leaf by its path, which begins with `model` or `optimizer`."""
    parts = {"model": run[0], "optimizer": run[1]}
    return {f"{part}.{path}": leaf for part, node in parts.items() for path, leaf in held(node).items()}


def _copied(run: Run) -> Leaves:
    """Return copies of the numbers of each leaf."""
    return {path: raw(leaf) for path, leaf in _leaves(run).items()}


def _group(path: str, leaf: Any) -> str:
    """Return the group that a leaf is forgotten with."""
    types = (nnx.Param, "params"), (nnx.BatchStat, "batch-stats"), (nnx.RngState, "streams"), (Table, "table")
    if path.startswith("optimizer"):
        return "optimizer"
    return next((name for kind, name in types if isinstance(leaf, kind)), "plain")


def _bits(leaf: Any) -> np.ndarray | None:
    """Return the numbers of a leaf, a key's too, or None of a shape."""
    value = content(leaf)
    return None if value is None or isinstance(value, jax.ShapeDtypeStruct) else raw(value)


def _same(one: Any, two: Any) -> bool:
    """Tell whether two leaves have the same dtype and the same bits; a shape is like nothing."""
    first, second = _bits(one), _bits(two)
    if first is None or second is None:
        return False
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


def _compared(attempt: Attempt, path: Path, run: Run, resumed: Run) -> Iterator[Finding]:
    """Compare what came back with what was saved: first the structure, then the numbers, then what goes with them."""
    wanted = _leaves(run)
    found = _leaves(resumed)
    line = attempt.line("resume")
    odd = [name for name in {**wanted, **found} if _kind(found.get(name)) is not _kind(wanted.get(name))]
    if odd:
        yield Finding("structure", "run", f"other leaves at {', '.join(odd)}", "the leaves of `build`", line)
        return
    if lost := {name: leaf for name, leaf in found.items() if not _same(leaf, wanted[name])}:
        findings = [*_lost(attempt, path, run, resumed, lost)]
        yield from findings
        if any(finding.kind in {"abstract", "initial"} for finding in findings):
            return
    loose = [name for name, leaf in found.items() if isinstance(content(leaf), (np.ndarray, np.generic, int, float))]
    if loose:
        seen = f"{loose[0]} and {len(loose) - 1} more leaves are no arrays of JAX"
        yield Finding("numpy", "leaves", seen, "arrays of JAX", line)
    if evaluates := [type(node).__name__ for _, node in nnx.iter_modules(resumed[0]) if _evaluates(node)]:
        seen = f"{', '.join(evaluates)} in evaluation mode"
        yield Finding("eval", "model", seen, "training mode, as `build` makes it", line)
    elif nnx.graphdef(resumed) != nnx.graphdef(run):
        yield Finding("structure", "run", "another structure than `build` makes", "the same structure", line)


def _lost(attempt: Attempt, path: Path, run: Run, resumed: Run, lost: Leaves) -> Iterator[Finding]:
    """Tell of the leaves that came back with other numbers, or without any."""
    wanted = _leaves(run)
    found = _leaves(resumed)
    first = _leaves(build())
    line = attempt.line("resume")
    hollow = [name for name, leaf in lost.items() if _bits(leaf) is None]
    initial = [name for name, leaf in lost.items() if _same(leaf, first[name])]
    disk = _on_disk(path)
    saved = [name for name, leaf in wanted.items() if any(np.array_equal(raw(leaf), array) for array in disk)]
    if len(found) in (len(hollow), len(initial)):
        kind, what = ("abstract", "shapes") if hollow else ("initial", "its first numbers")
        seen = f"each of the {len(found)} leaves has {what}; the checkpoint holds {len(saved)} of them"
        yield Finding(kind, "run", seen, "the numbers that were saved", line)
        return
    if differs := [name for name in lost if name not in hollow + initial]:
        near = all(np.allclose(raw(found[name]), raw(wanted[name]), rtol=0.02) for name in differs)
        seen, expected = (f"{each[differs[0]].dtype} {numbers(raw(each[differs[0]]))}" for each in (found, wanted))
        kind = "rounded" if near else "differ"
        yield Finding(kind, "leaves", f"{differs[0]} is {seen}", f"{expected}, bit for bit", line)
    for group, about, kind, paths in _forgotten(hollow + initial, wanted):
        holds = "shapes" if paths[0] in hollow else "first numbers"
        place = "saved, but not written back" if paths[0] in saved else "not in the checkpoint"
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        seen = f"{', '.join(paths[:3])}{more}: {holds}, {place}"
        at = line if paths[0] in saved else attempt.line("save")
        measured = "" if hollow else _damage(group, run, resumed)
        yield Finding(kind, about, seen, "the numbers that were saved", at, measured)


def _forgotten(lost: list[str], wanted: Leaves) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield each group that has lost leaves: its name, the two parts of its finding, and their paths.

    Where all that is no Param is lost, the groups of the model are one: its state was not saved as a whole, or only
    its Params were.
    """
    groups = {group: [name for name in lost if _group(name, wanted[name]) == group] for group in GROUPS}
    if all(groups[group] for group in GROUPS[1:-1]):
        kind = "forgotten" if groups["params"] else "params-only"
        yield "", "model", kind, [name for group in GROUPS[:-1] for name in groups[group]]
        groups = {"optimizer": groups["optimizer"]}
    for group, paths in groups.items():
        if paths:
            yield group, group, "forgotten", paths


def _on_disk(path: Path) -> list[Any]:
    """Return the arrays of a checkpoint, in whatever tree it has them."""
    with ocp.PyTreeCheckpointer() as orbax, warnings.catch_warnings(action="ignore"):
        trees = [orbax.restore(file.parent.absolute()) for file in path.rglob("_METADATA")]
    return [_bits(leaf) for leaf in jax.tree.leaves(trees) if not isinstance(leaf, str)]


def _damage(group: str, run: Run, resumed: Run) -> str:
    """Say what the next step shows of what was forgotten."""
    if group == "optimizer":
        steps = [int(optimizer.step[...]) for _, optimizer in (resumed, run)]
        return f"The next step is number {steps[0] + 1} for the optimizer; without the stop it is {steps[1] + 1}."
    (train, evaluation), (train_now, evaluation_now) = (_losses(nnx.clone(one)[0]) for one in (run, resumed))
    if train != train_now:
        return f"The next step has the loss {train_now}; without the stop it has {train}."
    if evaluation != evaluation_now:
        return f"In evaluation mode the loss is {evaluation_now}; without the stop it is {evaluation}."
    return f"The next step has the loss {train} with the stop and without: nothing shows yet."


def _losses(model: Any) -> tuple[str, str]:
    """Return the loss of a model in training, and that of one example in evaluation."""
    x = ramp(-1.0, 1.0, 16, 4)
    training = jnp.mean((model(x) - 1.0) ** 2)
    model.eval()
    return f"{training:.4g}", f"{jnp.mean((model(x[:1]) - 1.0) ** 2):.4g}"


def _evaluates(node: Any) -> bool:
    return bool(getattr(node, "deterministic", False) or getattr(node, "use_running_average", False))


def _kind(leaf: Any) -> type | None:
    """Return the type of a Variable, and one type for all leaves without Variable."""
    return type(leaf) if isinstance(leaf, nnx.Variable) or leaf is None else jax.Array
