"""Checks of the exercise Cost.

A step is compiled, taken three times and written back. After each of these the run is compared with what this
package's `train_step` makes of the same numbers, and the next one is looked at only where nothing was wrong, since a
step with wrong arrays says nothing: but a slow one may still be right.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state import nbytes, python_calls, train_step
from nnx_state._paths import dotted
from nnx_state.practice.damage import shown
from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.values import address, array_of, content, describe, described, numbered, ramp

DEPTH, STEPS, MOST = 5, 3, 20
GROUPS = ("params", "count", "optimizer")
Values = dict[str, Any]


@dataclass(eq=False)
class Run:
    """A model and its optimizer, and what the attempt made of them.

    Attributes:
        pair: the model and the optimizer.
        step: the compiled step.
        arrays: what the next step is given.
        traces: what the model counted, each time that Python ran the loss.
    """

    pair: tuple[Any, Any]
    step: Any = None
    arrays: Any = None
    traces: list[Any] = field(default_factory=list)

    def loss_fn(self, model: Any, x: jax.Array, y: jax.Array) -> Any:
        """Count the call, in the model and in Python, and return the loss."""
        self.traces.append(model.count.get_raw_value())
        model.count[...] += 1
        return jnp.mean((model(x) - y) ** 2)


def new() -> Run:
    """Return a run with many small Variables, one of which counts calls; each has numbers of its own."""

    def make() -> Any:
        rngs = nnx.Rngs(0)
        model: Any = nnx.Sequential(*[nnx.Linear(4, 4, rngs=rngs) for _ in range(DEPTH)])
        model.count = nnx.Variable(jnp.zeros((), jnp.int32))
        return model, nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)

    def number(place: int, leaf: Any) -> jax.Array:
        if leaf.dtype != jnp.float32:
            return array_of(np.full(leaf.shape, 100 + place, leaf.dtype))
        return ramp((place + 1) / 100, (place + 1) / 50, *leaf.shape)

    return Run(numbered(make, number))


def names(attempt: Attempt) -> Iterator[Finding]:
    """`compile_step` is there; `write_back` is looked for once the steps are right."""
    attempt.function("compile_step", "model", "optimizer", "loss_fn")
    yield from ()


def running(attempt: Attempt) -> Iterator[Finding]:
    """Compile a step, take three and write back; stop where a later check would mislead."""
    run = new()
    with attempt.does("`compile_step(model, optimizer, loss_fn)`"):
        made = attempt.get("compile_step")(*run.pair, run.loss_fn)
    if not (isinstance(made, (tuple, list)) and len(made) == 2 and callable(made[0])):
        line = attempt.line("compile_step")
        raise Stop(Finding("result-type", "compile_step", described(made), "(step, arrays)", line))
    run.step, run.arrays = made
    for part in (_arrays, _steps, _dispatch, _written):
        findings = [*part(attempt, run)]
        yield from findings
        if findings and part is not _dispatch:
            return


STAGES = (names, running)


def _arrays(attempt: Attempt, run: Run) -> Iterator[Finding]:
    """All state is copied into arrays without Variables."""
    line = attempt.line("compile_step")
    nodes = jax.tree.leaves(run.arrays, is_leaf=lambda leaf: isinstance(leaf, (nnx.Variable, nnx.Module)))
    if odd := [node for node in nodes if not isinstance(node, jax.Array)]:
        kinds = {nnx.Variable: "variables", nnx.Module: "module"}
        kind = next((kind for cls, kind in kinds.items() if isinstance(odd[0], cls)), "leaf")
        seen = f"{len(odd)} of {len(nodes)} leaves are no arrays: one is {describe(odd[0])}"
        measured = shown(_slow, run, subject="One step") if kind == "variables" else ""
        yield Finding(kind, "arrays", seen, "arrays of JAX alone", line, measured)
        return
    missing, every = _missing(nodes, _values(run)), jax.tree.leaves(nnx.state(run.pair))
    if missing or len(nodes) != len(every):
        without = f", without {' and '.join(missing)}" if missing else ""
        seen = f"{len(nodes)} arrays, {nbytes(run.arrays)} bytes{without}"
        expected = f"{len(every)} arrays, {nbytes(*run.pair)} bytes: all of the model and of the optimizer"
        yield Finding("incomplete" if missing else "extra", "arrays", seen, expected, line)
    elif shared := set(map(address, nodes)) & set(map(address, every)):
        _step(attempt, run)
        measured = f"After one step {_gone(run)} arrays of the model and the optimizer are deleted."
        yield Finding("shared", "arrays", f"{len(shared)} arrays share their memory", "copies", line, measured)


def _steps(attempt: Attempt, run: Run) -> Iterator[Finding]:
    """Each step trains once, is compiled once, gives its old arrays away, and leaves the model alone."""
    line = _step_line(attempt)
    before = _values(new())
    losses = []
    traces_of_first = 0
    for _ in range(STEPS):
        old = run.arrays
        returned = _step(attempt, run)
        if not (isinstance(returned, (tuple, list)) and len(returned) == 2 and _is_number(returned[1])):
            yield Finding("result-type", "step", described(returned), "(arrays, loss)", line)
            return
        sizes = [len(jax.tree.leaves(arrays)) for arrays in (returned[0], old)]
        if sizes[0] < sizes[1]:
            yield Finding("incomplete", "arrays", f"a step returns {sizes[0]} arrays", f"{sizes[1]}", line)
            return
        run.arrays, loss = returned
        losses.append(float(loss))
        traces_of_first = traces_of_first or len(run.traces)
    if moved := [name for name, value in _values(run).items() if not _near(value, before[name])]:
        seen = f"{len(moved)} leaves changed before `write_back`, such as {moved[0]}"
        yield Finding("changed", "model", seen, "model and optimizer as they were", line)
    if not any(isinstance(count, jax.core.Tracer) for count in run.traces):
        yield Finding("eager", "step", "the loss function got arrays, no tracers", "a compiled step", line)
    elif len(run.traces) > traces_of_first:
        yield Finding("retraced", "step", f"{len(run.traces)} traces in {STEPS} steps", "1", line)
    yield from _trained(run, losses, before, line)
    if kept := nbytes(old):
        measured = f"Old and new arrays take {kept + nbytes(run.arrays)} bytes, where {nbytes(run.arrays)} would do."
        yield Finding("kept", "arrays", f"a step leaves {kept} bytes of the old arrays", "0", line, measured)


def _trained(run: Run, losses: list[float], before: Values, line: int | None) -> Iterator[Finding]:
    """Compare the losses of the steps, and the arrays after them, with those of `train_step`."""
    wanted, after = _expected()
    arrays = jax.tree.leaves(run.arrays)
    if np.allclose(losses, wanted[1:], rtol=1e-3):
        yield Finding("after", "loss", f"the first loss is {losses[0]:.4g}", f"{wanted[0]:.4g}", line)
    elif lost := _missing(arrays, after):
        moved = _missing(arrays, before)
        stays = [group for group in GROUPS if group not in moved]
        about = stays[0] if stays and moved else "arrays"
        seen = f"after {STEPS} steps the arrays have not the {' and '.join(lost)} of {STEPS} steps"
        yield Finding("unchanged" if stays else "value", about, seen, "those that `optimizer.update` gives", line)
    elif not np.allclose(losses, wanted[:-1], rtol=1e-3):
        yield Finding("value", "loss", f"the first loss is {losses[0]:.4g}", f"{wanted[0]:.4g}", line)


def _dispatch(attempt: Attempt, run: Run) -> Iterator[Finding]:
    """A call runs few Python functions."""
    if (calls := _calls(run)) > MOST:
        seen = f"one call runs {calls} Python functions for {len(jax.tree.leaves(run.arrays))} arrays"
        yield Finding("dispatch", "step", seen, f"at most {MOST}", _step_line(attempt))


def _written(attempt: Attempt, run: Run) -> Iterator[Finding]:
    """A write brings all arrays into the Variables, as copies."""
    attempt.function("write_back", "model", "optimizer", "arrays")
    line, (_, wanted) = attempt.line("write_back"), _expected()
    held = {path: value for path, value in nnx.iter_graph(run.pair) if isinstance(value, nnx.Variable)}
    with attempt.does("`write_back(model, optimizer, arrays)`"):
        attempt.get("write_back")(*run.pair, run.arrays)
    now = dict(nnx.iter_graph(run.pair))
    if other := [dotted(path[1:]) for path, value in held.items() if now.get(path) is not value]:
        yield Finding("replaced", "write_back", f"{len(other)} others, such as {other[0]}", "the Variables", line)
        return
    if not nbytes(run.arrays):
        yield Finding("spent", "write_back", "the arrays are deleted", "the arrays stay for the next step", line)
        return
    if loose := [one for one in map(content, held.values()) if not isinstance(one, jax.Array)]:
        seen = f"{len(loose)} Variables hold {describe(loose[0])}"
        yield Finding("numpy", "write_back", seen, "arrays of JAX", line)
        return
    after = _values(run)
    if wrong := [name for name in wanted if not _near(after[name], wanted[name])]:
        stale = [group for group in GROUPS if any(name.startswith(group) for name in wrong)]
        about = "run" if len(stale) == len(GROUPS) else stale[0]
        seen = f"after `write_back` the numbers of {' and '.join(stale)} are not those of the arrays"
        yield Finding("stale", about, seen, "what the arrays hold", line)
    own, arrays = ({address(leaf) for leaf in jax.tree.leaves(tree)} for tree in (nnx.state(run.pair), run.arrays))
    if shared := own & arrays:
        _step(attempt, run)
        measured = f"One more step deleted {_gone(run)} arrays of the model and the optimizer."
        yield Finding("shared", "write_back", f"{len(shared)} arrays are shared", "copies", line, measured)


def _step_line(attempt: Attempt) -> int | None:
    return attempt.line("step", "compile_step") or attempt.line("compile_step")


def _step(attempt: Attempt, run: Run) -> Any:
    """Take one step of the attempt."""
    return attempt.call("step(arrays, *batch)", step=run.step, arrays=run.arrays, batch=_batch())


def _batch() -> tuple[jax.Array, jax.Array]:
    return array_of(np.eye(3, 4, dtype=np.float32)), array_of(np.ones((3, 4), np.float32))


def _calls(run: Run) -> int:
    """Return how many Python functions a step runs, on copies of the arrays."""
    arrays, batch = jax.tree.map(jnp.copy, run.arrays), _batch()

    def again() -> None:
        nonlocal arrays
        arrays, _ = run.step(arrays, *batch)

    return python_calls(again)


def _slow(run: Run) -> str:
    """Say how many Python functions a step runs, if there are many."""
    calls = _calls(run)
    return f"One step runs {calls} Python functions." if calls > MOST else ""


@functools.cache
def _expected() -> tuple[list[float], Values]:
    """Return the losses of the steps and of one more, and the state after the steps."""
    run = new()
    losses = [float(train_step(*run.pair, run.loss_fn, *_batch())) for _ in range(STEPS)]
    values = _values(run)
    return [*losses, float(train_step(*run.pair, run.loss_fn, *_batch()))], values


def _values(run: Run) -> Values:
    """Return the numbers of each leaf by a name that begins with its group, or None of one that is deleted."""
    found = {}
    for path, leaf in nnx.to_flat_state(nnx.state(run.pair)):
        group = "optimizer" if path[0] == 1 else "count" if path[-1] == "count" else "params"
        value = content(leaf)
        found[f"{group}: {dotted(path[1:])}"] = None if value.is_deleted() else np.asarray(value)
    return found


def _is_number(loss: Any) -> bool:
    return isinstance(loss, (jax.Array, np.generic, float)) and np.ndim(loss) == 0


def _near(one: Any, two: Any) -> bool:
    return one is not None and np.shape(one) == np.shape(two) and np.allclose(one, two, rtol=1e-3, atol=1e-4)


def _missing(arrays: list[Any], values: Values) -> list[str]:
    """Return the groups of which a leaf is not among the arrays."""
    held = [np.asarray(array) for array in arrays]
    lost = [name for name, value in values.items() if not any(_near(one, value) for one in held)]
    return [group for group in GROUPS if any(name.startswith(group) for name in lost)]


def _gone(run: Run) -> int:
    """Return how many arrays of the model and the optimizer are deleted."""
    return sum(value is None for value in _values(run).values())
