"""Checks of the exercise Sharding, on eight CPUs that stand for devices, in one process.

`train` is called as another process would call it, without the names around it, and what its functions held is noted.
First the model that it made: a wrong one ends the checks. Then where each value lies, what the model computes, and
whether the step is compiled; and only if all that is right, the loss and another mesh.
"""

import builtins
import functools
import itertools
import math
import sys
from collections.abc import Iterator
from types import FrameType, FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.adam import Arrays, adam
from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.lines import raising_line
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.roles import role
from nnx_state.practice.values import array_of, close, content, describe, numbers

# Before anything makes an array, and before the attempt runs.
jax.config.update("jax_num_cpu_devices", 8)  # type: ignore[no-untyped-call]

MESH, SHAPES = (2, 4), {"up": (4, 8), "down": (8, 4), "x": (8, 4)}
BLOCKS = {"up": (4, 2), "down": (2, 4), "mu": (2, 4), "x": (4, 4)}
SWAPPED = {"up": (4, 4), "down": (4, 4), "x": (2, 4)}  # the blocks on a mesh of four by two
RAISED = {
    "An auto mesh context or metadata is required": "no-mesh",
    "when you are not under a mesh context": "no-mesh",
    "Contracting dimensions are sharded": "contracting",
    "grad requires real- or complex-valued inputs": "integer-gradient",
}


def names(attempt: Attempt) -> Iterator[Finding]:
    """There is a plain function that travels alone."""
    train = attempt.function("train", "mesh")
    if not isinstance(train, FunctionType) or train.__closure__:
        seen = f"`train` is {describe(train)}"
        raise Stop(Finding("decorated", "train", seen, "a plain function", attempt.line("train")))
    yield from ()


def training(attempt: Attempt) -> Iterator[Finding]:
    """Two steps on two by four devices: where each value lies, and what comes back."""
    returned, seen, error = _run(attempt, MESH)
    model, line = _model(seen), attempt.line("train")
    misplaced = [*_roles(attempt, model, broken=error is not None)] if model else []
    yield from misplaced
    if error:
        yield from _raised(attempt, error, explained=bool(misplaced))
        return
    if not isinstance(returned, tuple) or tuple(map(type, returned)) != (int, float, tuple, tuple, tuple):
        types = ", ".join(map(describe, returned)) if isinstance(returned, tuple) else describe(returned)
        yield Finding("result-type", "train", types, "an int, a float and three tuples", line)
        return
    if model is None:
        yield Finding("missing", "model", "no module with arrays is alive in `train`", "an `nnx.Module`", line)
        return
    if misplaced:
        return
    if close(content(model.up), _normal(0, "up")):
        yield Finding("unchanged", "up", "after two steps `up` is as it was drawn", "trained numbers", line)
        return
    count, loss, *blocks = returned
    live = _live(model, seen)
    returned_blocks = dict(zip(("up", "mu", "x"), blocks, strict=True))
    wrong = [*_places(attempt, live, returned_blocks)] or [*_forward(attempt, model, live["x"])]
    yield from wrong
    if not any(type(value).__name__ == "DynamicJaxprTracer" for value in seen):
        yield Finding("eager", "step", "no value of the file was traced", "a step under `nnx.jit`", line)
    if count != 2:
        yield Finding("value", "count", f"the count is {count} after two steps", "2", attempt.line("count"))
    if not wrong:
        yield from _loss(loss, line)
        yield from _mesh(attempt, line)


STAGES = (names, training)


def _run(attempt: Attempt, shape: tuple[int, int], noting: bool = True) -> tuple[Any, list[Any], Exception | None]:
    """Call `train` as another process would, without the names around it; return what its functions held, too."""
    seen: list[Any] = []

    def enter(frame: FrameType, event: str, _: object) -> Any:
        return leave if frame.f_code.co_filename == str(attempt.path) else None

    def leave(frame: FrameType, event: str, _: object) -> Any:
        if event == "return":
            seen.extend(frame.f_locals.values())
        return leave

    alone = FunctionType(attempt.get("train").__code__, {"__builtins__": builtins})
    tracer = sys.gettrace()
    sys.settrace(enter if noting else tracer)  # to note what functions hold takes as long as to run them
    try:
        with attempt.does(f"`train({shape})`"):
            return alone(shape), seen, None
    except Exception as error:
        return None, seen, error
    finally:
        sys.settrace(tracer)


def _mesh(attempt: Attempt, line: int | None) -> Iterator[Finding]:
    """The mesh is the one that was asked for."""
    returned, _, error = _run(attempt, (1, 1), noting=False)
    if error:
        raise error
    whole = SHAPES["up"], SHAPES["down"], SHAPES["x"]
    if tuple(returned[2:]) != whole:
        seen = f"for the mesh (1, 1) the blocks are {returned[2:]}"
        yield Finding("ignored", "mesh", seen, f"{whole}, on one device", line)


def _raised(attempt: Attempt, error: Exception, explained: bool) -> Iterator[Finding]:
    """Name the cause of an error, if it is known; one that an earlier finding explains is not told."""
    said, line = " ".join(str(error).split()), raising_line(attempt.path, error)
    name = next((kind for text, kind in RAISED.items() if text in said), "")
    if isinstance(error, NameError) and hasattr(attempt.module, error.name or ""):
        yield Finding("outside", "train", f"in another process: {said}", "all imports inside of `train`", line)
    elif name:
        yield Finding("raises", name, said[:150], "no error", line)
    elif not explained:
        raise error


def _model(seen: list[Any]) -> Any:
    """Return the last module that holds arrays, not tracers."""
    modules = [one for one in seen if isinstance(one, nnx.Module) and not isinstance(one, nnx.Optimizer)]
    return next((one for one in reversed(modules) if _concrete(one)), None)


def _concrete(node: Any) -> bool:
    leaves = jax.tree.leaves(nnx.state(node))
    return bool(leaves) and not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)


def _roles(attempt: Attempt, model: Any, broken: bool) -> Iterator[Finding]:
    """Each value has its wrapper, its shape and its dtype; of a model that broke, only what it has counts."""
    for name, kind in (("up", nnx.Param), ("down", nnx.Param), ("count", nnx.Variable)):
        if broken and not hasattr(model, name):
            continue
        misplaced = [*role(attempt, model, name, kind)]
        yield from misplaced
        if misplaced:
            continue
        value, shape = content(getattr(model, name)), SHAPES.get(name, ())
        line = attempt.line(name, type(model).__name__)
        if np.shape(value) != shape:
            wrong = "transposed" if np.shape(value) == shape[::-1] else "shape"
            yield Finding(wrong, name, f"{name} has shape {list(np.shape(value))}", f"{list(shape)}", line)
        elif name == "count" and value.dtype != jnp.int32:
            yield Finding("dtype", "count", f"the count is {value.dtype}", "int32", line)


def _live(model: Any, seen: list[Any]) -> dict[str, list[jax.Array]]:
    """Return the arrays that were alive in `train`: the Params and the batch."""
    batch = _normal(2, "x")
    arrays = [one for one in seen if isinstance(one, jax.Array) and not isinstance(one, jax.core.Tracer)]
    return {
        "up": [content(model.up)],
        "down": [content(model.down)],
        "x": [one for one in arrays if one.shape == batch.shape and close(one, batch)],
    }


def _block(array: jax.Array) -> tuple[int, ...]:
    """Return the shape of the block of an array that one device has."""
    return array.sharding.shard_shape(array.shape)


def _spec(array: Any) -> str:
    return str(getattr(array.sharding, "spec", "on one device"))


def _too_much(block: tuple[int, ...], least: tuple[int, ...]) -> str:
    """Say how many bytes a device holds, where these are more than it needs."""
    size, needed = 4 * math.prod(block), 4 * math.prod(least)
    return f"One device holds {size} bytes of it, where {needed} would do." if size > needed else ""


def _places(attempt: Attempt, live: dict[str, list[jax.Array]], returned: dict[str, Any]) -> Iterator[Finding]:
    """Compare the blocks that devices held, and those that were returned, with what the problem asks for."""
    held = {name: [_block(array) for array in arrays] for name, arrays in live.items()}
    if all(held[name][-1:] == [block] for name, block in SWAPPED.items()):
        yield Finding("swapped", "mesh", "`data` has 4 devices, `model` 2", "2 and 4", attempt.line("train"))
        return
    for name, wanted in BLOCKS.items():
        whole = SHAPES.get(name, SHAPES["down"])
        line = attempt.line(name) or attempt.line("train")
        blocks = held.get(name, []) or [returned.get(name, wanted)]
        if name in SHAPES and wanted not in blocks:
            kind = "replicated" if blocks[-1] == whole else "axis"
            spec = f", {_spec(live[name][-1])}" if held[name] else ""
            seen = f"a device has {blocks[-1]} of {name}{spec}"
            yield Finding(kind, name, seen, f"{wanted}", line, _too_much(blocks[-1], wanted))
            if name == "down":
                returned = {**returned, "mu": BLOCKS["mu"]}  # it lies as `down` does
        elif returned.get(name, wanted) != wanted:
            kind = "whole" if returned[name] == whole else "value"
            seen = f"{returned[name]} for {name}, of which a device has {wanted}"
            yield Finding(kind, "blocks", seen, f"{wanted}", attempt.line("train"))


def _forward(attempt: Attempt, model: Any, batches: list[jax.Array]) -> Iterator[Finding]:
    """The forward pass computes the formula, leaves its result where the batch lies, and counts."""
    up, down, count = (np.asarray(content(getattr(model, name))) for name in ("up", "down", "count"))
    line = attempt.line("__call__")
    cut = [one for one in batches if _block(one) == BLOCKS["x"]]
    x = cut[0] if cut else array_of(_normal(2, "x"))
    with jax.set_mesh(content(model.up).sharding.mesh), attempt.does("`model(x)`"):
        y = model(x)
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "forward", f"the forward pass returns {describe(y)}", "an array", line)
        return
    product = np.asarray(x) @ up
    if not close(y, np.maximum(product, 0) @ down):
        kind = formula_of(y, {"no-relu": product @ down})
        computed = {"no-relu": "x @ up @ down", "formula": f"{numbers(y)} from known numbers"}
        yield Finding(kind, "forward", f"it computes {computed[kind]}", "relu(x @ up) @ down", line)
    elif batches and _block(y) != BLOCKS["x"]:
        seen = f"a device has {_block(y)} of the output, {_spec(y)}"
        expected = f"{BLOCKS['x']}, as of the batch"
        yield Finding("replicated", "output", seen, expected, line, _too_much(_block(y), BLOCKS["x"]))
    if (now := np.asarray(content(model.count))) != count + 1:
        yield Finding("unchanged", "count", f"a call turns {count} into {now}", f"{count + 1}", line)


def _loss(seen: float, line: int | None) -> Iterator[Finding]:
    """Compare the loss with that of the second step, and with those that come from a likely slip."""

    def same(one: float, two: float) -> bool:
        return bool(np.isclose(one, two, rtol=1e-4))

    first, wanted, after = _losses()
    if not same(seen, wanted):
        slips = {
            "first": first,
            "after": after,
            "sum": math.prod(SHAPES["x"]) * wanted,
            "keys": _losses(keys=(1, 0))[1],
            "same-key": _losses(keys=(0, 0))[1],
            "rate": _losses(rate=0.01)[1],
        }
        kind = formula_of(seen, slips, otherwise="value", same=same)
        yield Finding(kind, "loss", f"the loss is {seen:.5g}", f"{wanted:.5g}", line)


@functools.cache
def _normal(seed: int, name: str) -> np.ndarray:
    """Return the normal numbers that a key gives."""
    return np.asarray(jax.random.normal(jax.random.key(seed), SHAPES[name]))


@functools.cache
def _losses(keys: tuple[int, int] = (0, 1), rate: float = 0.1) -> list[float]:
    """Return the losses before the first step, before the second and after it, computed by NumPy."""
    start = [_normal(key, name) for key, name in zip(keys, ("up", "down"), strict=True)]
    x = _normal(2, "x")

    def slopes(params: Arrays) -> Arrays:
        up, down = params
        hidden = np.maximum(x @ up, 0)
        back = 2 * (hidden @ down) / x.size
        return [x.T @ (back @ down.T * (hidden > 0)), hidden.T @ back]

    steps = [start, *itertools.islice(adam(start, slopes, rate), 2)]
    return [float(((np.maximum(x @ up, 0) @ down) ** 2).mean()) for up, down in steps]
