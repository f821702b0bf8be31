"""Checks of the exercise Sharding, on eight CPUs that stand for devices, in one process."""

import builtins
import math
import sys
import traceback
from collections.abc import Iterator
from types import FrameType, FunctionType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, close, content, describe, numbers, role

# Before anything makes an array, and before the attempt runs.
jax.config.update("jax_num_cpu_devices", 8)  # type: ignore[no-untyped-call]

MESH, SHAPES = (2, 4), {"up": (4, 8), "down": (8, 4), "x": (8, 4)}
BLOCKS = {"up": (4, 2), "down": (2, 4), "mu": (2, 4), "x": (4, 4)}
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
    findings = [*_roles(attempt, model, broken=error is not None)] if model else []
    yield from findings
    if error:
        yield from _raised(attempt, error, explained=bool(findings))
        return
    kinds = (int, float, tuple, tuple, tuple)
    if not isinstance(returned, tuple) or tuple(map(type, returned)) != kinds:
        types = ", ".join(map(describe, returned)) if isinstance(returned, tuple) else describe(returned)
        yield Finding("result-type", "train", types, "an int, a float and three tuples", line)
        return
    if model is None:
        yield Finding("missing", "model", "no module with arrays is alive in `train`", "an `nnx.Module`", line)
        return
    if not findings and close(content(model.up), _normal(0, "up")):
        yield Finding("unchanged", "up", "after two steps `up` is as it was drawn", "trained numbers", line)
        return
    if findings:
        return
    blocks = dict(zip(("up", "mu", "x"), returned[2:], strict=True))
    live = _live(model, seen)
    findings = [*_places(attempt, live, blocks)] or [*_forward(attempt, model, live["x"])]
    yield from findings
    if not any(type(value).__name__ == "DynamicJaxprTracer" for value in seen):
        yield Finding("eager", "step", "no value of the file was traced", "a step under `nnx.jit`", line)
    if returned[0] != 2:
        yield Finding("value", "count", f"the count is {returned[0]} after two steps", "2", attempt.line("count"))
    if not findings:
        yield from _loss(returned[1], line)
        yield from _mesh(attempt, line)


STAGES = (names, training)


def _run(attempt: Attempt, shape: tuple[int, int]) -> tuple[Any, list[Any], Exception | None]:
    """Call `train` as another process would, without the names around it; return what its functions held, too."""
    seen: list[Any] = []

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code.co_filename == str(attempt.path):
            seen.extend(frame.f_locals.values())

    alone = FunctionType(attempt.get("train").__code__, {"__builtins__": builtins})
    sys.setprofile(watch)
    try:
        with attempt.does(f"`train({shape})`"):
            return alone(shape), seen, None
    except Exception as error:
        return None, seen, error
    finally:
        sys.setprofile(None)


def _mesh(attempt: Attempt, line: int | None) -> Iterator[Finding]:
    """The mesh is the one that was asked for."""
    returned, _, error = _run(attempt, (1, 1))
    if error:
        raise error
    whole = SHAPES["up"], SHAPES["down"], SHAPES["x"]
    if tuple(returned[2:]) != whole:
        seen = f"for the mesh (1, 1) the blocks are {returned[2:]}"
        yield Finding("ignored", "mesh", seen, f"{whole}, on one device", line)


def _spec(array: Any) -> str:
    return str(getattr(array.sharding, "spec", "on one device"))


def _raised(attempt: Attempt, error: Exception, explained: bool) -> Iterator[Finding]:
    said = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    line = next((frame.lineno for frame in reversed(frames) if frame.filename == str(attempt.path)), None)
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
        line = attempt.line(name, type(model).__name__)
        findings = [*role(attempt, model, name, kind)]
        yield from findings
        value = content(getattr(model, name, None))
        shape = SHAPES.get(name, ())
        if findings or np.shape(value) != shape:
            wrong = "transposed" if np.shape(value) == shape[::-1] else "shape"
            if not findings:
                yield Finding(wrong, name, f"{name} has shape {list(np.shape(value))}", f"{list(shape)}", line)
        elif name == "count" and value.dtype != jnp.int32:
            yield Finding("dtype", "count", f"the count is {value.dtype}", "int32", line)


def _live(model: Any, seen: list[Any]) -> dict[str, list[jax.Array]]:
    """Return the arrays that were alive in `train`: the Params and the batch."""
    batch = np.asarray(_normal(2, "x"))
    arrays = [one for one in seen if isinstance(one, jax.Array) and not isinstance(one, jax.core.Tracer)]
    return {
        "up": [content(model.up)],
        "down": [content(model.down)],
        "x": [one for one in arrays if one.shape == batch.shape and close(one, batch)],
    }


def _places(attempt: Attempt, live: dict[str, list[jax.Array]], returned: dict[str, Any]) -> Iterator[Finding]:
    """Compare the blocks that devices held, and those that were returned, with what the problem asks for."""
    held = {name: [one.sharding.shard_shape(one.shape) for one in arrays] for name, arrays in live.items()}
    if [held[name][-1:] for name in ("up", "down", "x")] == [[(4, 4)], [(4, 4)], [(2, 4)]]:
        yield Finding("swapped", "mesh", "`data` has 4 devices, `model` 2", "2 and 4", attempt.line("train"))
        return
    for name, wanted in BLOCKS.items():
        whole, line = SHAPES.get(name, SHAPES["down"]), attempt.line(name) or attempt.line("train")
        shapes = held.get(name, []) or [returned.get(name, wanted)]
        if name in SHAPES and wanted not in shapes:
            spec = f", {_spec(live[name][-1])}" if held[name] else ""
            kind = "replicated" if shapes[-1] == whole else "axis"
            size, least = (4 * math.prod(shape) for shape in (shapes[-1], wanted))
            measured = f"One device holds {size} bytes of it, where {least} would do." if size > least else ""
            yield Finding(kind, name, f"a device has {shapes[-1]} of {name}{spec}", f"{wanted}", line, measured)
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
    x = next((one for one in batches if one.sharding.shard_shape(one.shape) == BLOCKS["x"]), _normal(2, "x"))
    with jax.set_mesh(content(model.up).sharding.mesh), attempt.does("`model(x)`"):
        y = model(x)
    if not isinstance(y, jax.Array):
        yield Finding("result-type", "forward", f"the forward pass returns {describe(y)}", "an array", line)
        return
    product = np.asarray(x) @ up
    if not close(y, np.maximum(product, 0) @ down):
        text = "x @ up @ down" if close(y, product @ down) else f"{numbers(y)} from known numbers"
        kind = "no-relu" if close(y, product @ down) else "formula"
        yield Finding(kind, "forward", f"it computes {text}", "relu(x @ up) @ down", line)
    elif batches and (block := y.sharding.shard_shape(y.shape)) != BLOCKS["x"]:
        measured = f"One device holds {4 * math.prod(block)} bytes of it, where {4 * math.prod(BLOCKS['x'])} would do."
        seen = f"a device has {block} of the output, {_spec(y)}"
        yield Finding("replicated", "output", seen, f"{BLOCKS['x']}, as of the batch", line, measured)
    if (now := np.asarray(content(model.count))) != count + 1:
        yield Finding("unchanged", "count", f"a call turns {count} into {now}", f"{count + 1}", line)


def _normal(seed: int, name: str) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), SHAPES[name])


def _loss(seen: float, line: int | None) -> Iterator[Finding]:
    """Compare the loss with that of the second step, and with those that come from a likely slip."""
    wanted = _losses()
    if np.isclose(seen, wanted[1], rtol=1e-4):
        return
    slips = {
        "first": wanted[0],
        "after": wanted[2],
        "sum": 32 * wanted[1],
        "keys": _losses(keys=(1, 0))[1],
        "same-key": _losses(keys=(0, 0))[1],
        "rate": _losses(rate=0.01)[1],
    }
    kind = next((kind for kind, loss in slips.items() if np.isclose(seen, loss, rtol=1e-4)), "value")
    yield Finding(kind, "loss", f"the loss is {seen:.5g}", f"{wanted[1]:.5g}", line)


def _losses(keys: tuple[int, int] = (0, 1), rate: float = 0.1) -> list[float]:
    """Return the losses before the first step, before the second and after it, computed by NumPy."""
    params = [np.asarray(_normal(key, name)) for key, name in zip(keys, ("up", "down"), strict=True)]
    x, losses, mu, nu = np.asarray(_normal(2, "x")), [], [0.0, 0.0], [0.0, 0.0]
    for step in (1, 2, 3):
        hidden = np.maximum(x @ params[0], 0)
        y = hidden @ params[1]
        losses.append(float((y**2).mean()))
        back = 2 * y / y.size
        grads = x.T @ (back @ params[1].T * (hidden > 0)), hidden.T @ back
        for n, grad in enumerate(grads):
            mu[n], nu[n] = 0.9 * mu[n] + 0.1 * grad, 0.999 * nu[n] + 0.001 * grad**2
            scaled = (mu[n] / (1 - 0.9**step)) / (np.sqrt(nu[n] / (1 - 0.999**step)) + 1e-8)
            params[n] = params[n] - rate * scaled
    return losses
