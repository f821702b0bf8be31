"""Checkpoints of a whole run: all of its state is saved, and it comes back bit for bit or not at all."""

import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from flax import nnx
from flax.nnx.filterlib import Filter, to_predicate

from nnx_state import _checks
from nnx_state._paths import dotted
from nnx_state._specs import described
from nnx_state.counters import Scratch

__all__ = ["latest_step", "restore_checkpoint", "save_checkpoint"]


def save_checkpoint(folder: str | os.PathLike[str], step: int, /, **nodes: nnx.Pytree) -> None:
    """Save all state of a run but its Scratch, and return when it is on disk.

    Orbax writes into a temporary folder and renames it at the end, so a save that breaks off leaves no checkpoint.
    Each checkpoint stays until you delete its folder, which is named after the step.

    Args:
        folder: Where the checkpoints of this run lie, on this machine; it is made if need be.
        step: The number of steps that the run has taken, from 0 to `2**31 - 1`.
        **nodes: The model, the optimizer and what else holds state, such as an `nnx.Rngs`, each by a name.
            A Variable that two of them hold is saved once.

    Raises:
        TypeError: If a node is no object of NNX, or the step is no number.
        ValueError: If the step is out of range or not later than the last one, if the nodes have no leaf,
            if a leaf holds no numbers, or if the folder is not on this machine. Nothing is written then.

    ```python
    import tempfile

    from flax import nnx

    from nnx_state import latest_step, save_checkpoint

    model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(folder, 100, model=model)
        print(latest_step(folder))
    ```

    ```{.text .output}
    100
    ```
    """
    step = _checks.whole_number("step", step, 0, 2**31 - 1)
    state = _state(nodes, Scratch)
    leaves = nnx.to_flat_state(state)
    if hollow := [f"{dotted(path)} ({described(leaf)})" for path, leaf in leaves if _is_hollow(leaf)]:
        raise ValueError(
            f"every leaf must hold numbers, got none in {', '.join(hollow)}: save outside of jit, "
            "after the model was built or restored, and make a Scratch of an array of size 0."
        )
    latest = latest_step(folder)
    if latest is not None and step <= latest:
        raise ValueError(
            f"step must be later than {latest}, the last in the folder, got {step}: "
            "delete the later checkpoints first, or save into another folder."
        )
    place = Path(folder).absolute() / str(step)
    written = [[path, described(leaf)] for path, leaf in leaves]
    with ocp.PyTreeCheckpointer() as orbax:
        orbax.save(place, args=ocp.args.PyTreeSave(state), custom_metadata={"leaves": written})


def latest_step(folder: str | os.PathLike[str]) -> int | None:
    """Return the step of the last checkpoint in a folder, or None if there is none yet.

    A save that broke off does not count.

    Args:
        folder: What `save_checkpoint` got; it need not exist.

    Returns:
        The largest step.

    ```python
    from nnx_state import latest_step

    print(latest_step("a/folder/to/come"))
    ```

    ```{.text .output}
    None
    ```
    """
    return max(_steps(folder), default=None)


def restore_checkpoint(
    folder: str | os.PathLike[str], step: int | None = None, /, *, skip: Filter = None, **nodes: nnx.Pytree
) -> int:
    """Write a checkpoint into a model and the rest of a run, all of it or nothing.

    The nodes may be abstract, as `nnx.eval_shape` makes them; an array without a sharding goes to the first device.
    A Scratch is left alone, and a weakly typed array comes back with the same dtype, strongly typed.

    Args:
        folder: What `save_checkpoint` got.
        step: Which checkpoint to read; the last one by default.
        skip: The filter of leaves that are neither read nor written, such as those that the model has gained or lost.
            A path begins with the name of the node; a leaf that only the checkpoint has is matched by path, not type.
        **nodes: What to write into, by the names of the save; a node of the checkpoint may be left out.

    Returns:
        The step that was read.

    Raises:
        TypeError: If a node is no object of NNX.
        FileNotFoundError: If the folder does not hold the checkpoint.
        ValueError: If it does not come from `save_checkpoint`, if paths, types, dtypes or shapes differ,
            if the nodes have no leaf, or if one that is left out would stay abstract. Nothing is written then.

    ```python
    import tempfile

    from flax import nnx

    from nnx_state import restore_checkpoint, save_checkpoint

    model, fresh = (nnx.Linear(4, 2, rngs=nnx.Rngs(seed)) for seed in (0, 1))
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(folder, 100, model=model)
        print(restore_checkpoint(folder, model=fresh))
    print((fresh.kernel[...] == model.kernel[...]).all())
    ```

    ```{.text .output}
    100
    True
    ```
    """
    left_out = nnx.Any(Scratch, skip)
    target = _state(nodes, left_out)
    steps = _steps(folder)
    step = max(steps, default=None) if step is None else step
    if step not in steps:
        raise FileNotFoundError(
            f"step must be one of {sorted(steps)}, those in {folder}, got {step}: "
            "pass the folder that save_checkpoint got, or start anew where latest_step returns None."
        )
    # Without shardings, Orbax would make NumPy arrays of abstract leaves, and bare numbers of their keys.
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    shardings = jax.tree.map(lambda array: getattr(array, "sharding", None) or device, target)
    restore_args = ocp.checkpoint_utils.construct_restore_args(target, shardings)
    args = ocp.args.PyTreeRestore(target, restore_args=restore_args, partial_restore=True)
    with ocp.PyTreeCheckpointer() as orbax:
        written = orbax.metadata(steps[step]).custom_metadata.get("leaves")
        if written is None:
            raise ValueError(
                f"step {step} must come from save_checkpoint, got another checkpoint in {folder}: "
                "restore it with what wrote it."
            )
        saved = {tuple(path): kind for path, kind in written if path[0] in nodes}
        if faults := _faults(saved, nodes, left_out):
            raise ValueError(
                f"the checkpoint must have the leaves of {', '.join(nodes)}, got: {'; '.join(faults)}. "
                "Nothing was written: build the run as it was saved, not abstract where a leaf is left out; "
                "skip=nnx.PathContains('bias') leaves one out."
            )
        nnx.update(nodes, orbax.restore(steps[step], args=args))
    return step


def _steps(folder: str | os.PathLike[str]) -> dict[int, Path]:
    """Return the folder of each checkpoint by its step; that of a save that broke off is not named by a number."""
    if "://" in os.fspath(folder):
        raise ValueError(
            f"folder must be one of this machine, got {folder}: save there with Orbax's CheckpointManager."
        )
    return {int(path.name): path for path in Path(folder).absolute().glob("*") if path.name.isdecimal()}


def _state(nodes: dict[str, nnx.Pytree], left_out: Filter) -> nnx.State[Any, Any]:
    """Return what a checkpoint of these nodes holds."""
    for name, node in nodes.items():
        if not isinstance(node, nnx.Pytree):
            raise TypeError(
                f"{name} must be an object of NNX, got a {type(node).__name__}: "
                "pass a module, an nnx.Optimizer or an nnx.Rngs."
            )
    state = nnx.state(nodes, nnx.Not(left_out))
    if not state:
        raise ValueError(
            f"a node must have a leaf besides Scratch and what is skipped, got {', '.join(nodes) or 'no node'}: "
            "pass model=model, optimizer=optimizer."
        )
    return state


def _faults(saved: dict[tuple[Any, ...], str], nodes: dict[str, nnx.Pytree], left_out: Filter) -> list[str]:
    """Tell what keeps a checkpoint from being written into these nodes."""
    own = dict(nnx.to_flat_state(nnx.state(nodes)))
    is_left_out = to_predicate(left_out)
    faults = []
    for path in own | saved:
        there = saved.get(path, "missing")
        here = described(own[path]) if path in own else "missing"
        if not is_left_out(path, own.get(path)):
            if there != here:
                faults.append(f"{dotted(path)} is {there} there, {here} here")
        elif any(isinstance(array, jax.ShapeDtypeStruct) for array in jax.tree.leaves(own.get(path))):
            faults.append(f"{dotted(path)} is left out, yet abstract here")
    return faults


def _is_hollow(leaf: Any) -> bool:
    """Tell a leaf without numbers; Orbax would notice it when part of the checkpoint is written."""
    arrays = jax.tree.leaves(leaf)
    return any(isinstance(array, (jax.ShapeDtypeStruct, jax.core.Tracer)) or 0 in jnp.shape(array) for array in arrays)
