"""Checks of the exercise Transforms.

First the two tools alone: `unchanged` with changes that are known, then `TraceCounter` without a transform and with
two. `train_twice`, which uses both, is tried only once they are right: with a transform that notes what it is given.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.errors import TraceContextError

from nnx_state import MultiParam
from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import needs, part
from nnx_state.practice.values import array_of, close, content, describe, listed, numbers, ramp, spec

PARAMS = ("bias", "kernel", "scale")


class Model(nnx.Module):
    """A model with three Params, whose names are not in order, and a counter."""

    def __init__(self) -> None:
        self.scale = nnx.Param(jnp.array(2.0))
        self.kernel = nnx.Param(ramp(-1.0, 1.0, 4, 2))
        self.bias = nnx.Param(jnp.zeros(2))
        self.count = nnx.Variable(jnp.array(0))


class Watched:
    """A transform that notes what it compiles, and each call of that."""

    def __init__(self, jit: Callable[..., Any]) -> None:
        self.jit = jit
        self.compiled: list[Any] = []
        self.models: list[Any] = []
        self.biases: list[Any] = []

    def __call__(self, function: Any, *more: Any, **options: Any) -> Any:
        """Compile a function."""
        self.compiled.append(function)
        compiled = self.jit(function, *more, **options)

        def run(*args: Any, **kwargs: Any) -> Any:
            model = next((arg for arg in (*args, *kwargs.values()) if isinstance(arg, nnx.Module)), None)
            self.models.append(model)
            self.biases.append(getattr(model, "bias", None))
            return compiled(*args, **kwargs)

        return run


def comparing(attempt: Attempt) -> Iterator[Finding]:
    """`unchanged` names the Params that are equal, bit for bit.

    What it names is looked at with the simplest change; the others try what "equal" means to it.
    """
    attempt.function("unchanged", "before", "model")
    seen = _compared(attempt, {"bias": 1.0})
    wanted = ["kernel", "scale"]
    line = attempt.line("unchanged")
    if not isinstance(seen, list):
        yield Finding("result-type", "unchanged", describe(seen), "a list of strings", line)
        return
    case, expected = f"only the bias changed: {seen}", f"{wanted}"
    if not all(isinstance(name, str) for name in seen):
        case = f"only the bias changed: a list of {', '.join(map(describe, seen[:2]))}"
        yield Finding("not-names", "unchanged", case, expected, line)
    elif seen == ["bias"]:
        yield Finding("inverted", "unchanged", case, expected, line)
    elif set(seen) == {"count", *wanted}:
        yield Finding("other-types", "unchanged", case, expected, line)
    elif set(seen) == set(wanted) and seen != wanted:
        yield Finding("unsorted", "unchanged", case, f"{wanted}, sorted", line)
    else:
        for kind, what, changes, expected_names in _changes():
            if (seen := _compared(attempt, changes)) != expected_names:
                yield Finding(kind, "unchanged", f"{what} changed: {seen}", f"{expected_names}", line)
                return
        for kind, what, start, expected_names in _oddities():
            if (seen := _compared(attempt, {"bias": 0.0}, start)) != expected_names:
                yield Finding(kind, "unchanged", f"{what}: {seen}", f"{expected_names}", line)
                return


def counting(attempt: Attempt) -> Iterator[Finding]:
    """`TraceCounter` hands on what it is given, and counts the runs of Python."""
    attempt.function("TraceCounter", "function")
    line = attempt.line("TraceCounter")
    runs = []
    x = jnp.ones(3)

    def wrong(about: str, kind: str, seen: str, expected: str) -> Stop:
        return Stop(Finding(kind, about, seen, expected, line))

    def double(x: jax.Array, *, more: float = 0.0) -> jax.Array:
        runs.append(x.shape)
        return 2 * x + more

    counter = attempt.call("TraceCounter(function)", function=double)
    if not hasattr(counter, "traces"):
        raise wrong("traces", "missing", f"the counter has {listed(getattr(counter, '__dict__', {}))}", "traces")
    if not callable(counter):
        raise wrong("counter", "not-callable", describe(counter), "counter(x)")
    if isinstance(counter, nnx.Module):
        raise wrong("counter", "module", "a TraceCounter is an nnx.Module", "a plain class")
    if isinstance(counter.traces, nnx.Variable):
        raise wrong("traces", "variable", describe(counter.traces), "the int 0")
    if callable(counter.traces) or counter.traces != 0:
        raise wrong("traces", "start", f"a new counter has {describe(counter.traces)}", "the int 0")
    for _ in range(2):
        y = attempt.call("counter(x)", counter=counter, x=x)
    if not (isinstance(y, jax.Array) and close(y, 2 * np.ones(3))):
        raise wrong("counter", "result", f"it returns {describe(y)}", "what the function returns")
    if len(runs) != 2:
        raise wrong("counter", "compiles", f"two calls ran the function {len(runs)}x", "2x")
    try:
        y = attempt.call("counter(x, more=1.0)", counter=counter, x=x)
    except TypeError as error:
        raise wrong("counter", "keywords", f"TypeError: {error}", "the arguments of the function") from None
    if not close(y, 3 * np.ones(3)):
        raise wrong("counter", "keywords", "more=1.0 is lost", "the arguments of the function")
    if counter.traces != 3:
        raise wrong("traces", "value", f"{describe(counter.traces)} after three calls", "3")
    if (other := attempt.call("TraceCounter(function)", function=double)).traces != 0:
        raise wrong("traces", "shared", f"the next new counter starts with {other.traces}", "0")
    for name in ("nnx.jit", "jax.jit"):
        counter = attempt.call("TraceCounter(function)", function=double)
        compiled = attempt.call(f"{name}(counter)", counter=counter, nnx=nnx, jax=jax)
        for size in (3, 3, 4):
            attempt.call("compiled(x)", compiled=compiled, x=jnp.ones(size))
            if isinstance(counter.traces, jax.core.Tracer):
                raise wrong("traces", "traced", f"after {name} traces is a {type(counter.traces).__name__}", "an int")
        if counter.traces != 2:
            kind = "calls" if counter.traces == 3 else "value"
            raise wrong("traces", kind, f"{counter.traces} after three calls with {name}, two of them alike", "2")
    yield from ()


@needs(comparing, counting)
def training(attempt: Attempt) -> Iterator[Finding]:
    """`train_twice` compiles a counted step with the transform that it is given, and compares with a copy."""
    attempt.function("train_twice", "jit")
    kernel = attempt.call("MultiParam(4, 2, rngs=nnx.Rngs(0))", MultiParam=MultiParam, nnx=nnx).kernel
    for name, jit, stay in (("nnx.jit", nnx.jit, ["kernel"]), ("jax.jit", jax.jit, ["bias", "kernel"])):
        _trained(attempt, name, jit, stay, content(kernel))
    yield from ()


STAGES = (*part(comparing), *part(counting), training)


def _compared(attempt: Attempt, changes: dict[str, Any], start: dict[str, float] | None = None) -> Any:
    """Return what `unchanged` says of a model in which these numbers were added to its Params.

    Args:
        attempt: the file.
        changes: what is added to which Param.
        start: the number that fills a Param before that.
    """
    model = Model()
    for name, number in (start or {}).items():
        param = getattr(model, name)
        param[...] = array_of(np.full(param.shape, number, np.float32))
    before = nnx.clone(model)
    for name, change in changes.items():
        param = getattr(model, name)
        param[...] = array_of(np.asarray(param[...]) + np.float32(change))
    return attempt.call("unchanged(before, model)", before=before, model=model)


def _changes() -> Iterator[tuple[str, str, dict[str, Any], list[str]]]:
    """Yield changes: the finding if they are not noticed, in words, what is added, and the Params that stay."""
    drop, swap, tiny = (np.zeros((4, 2), np.float32) for _ in range(3))
    drop[0, 0] = -1.0
    swap[1] = -1.0, 1.0
    tiny[3, 1] = 2.0**-22
    rest = ["bias", "scale"]
    yield "result-value", "the bias", {"bias": 1.0}, ["kernel", "scale"]
    yield "part", "one number of the eight in the kernel", {"kernel": drop}, rest
    yield "part", "two numbers in the kernel, whose sum stayed,", {"kernel": swap}, rest
    yield "tolerance", "one number in the kernel, by 2.4e-07,", {"kernel": tiny}, rest
    anew = "no number, but every array was written anew, so nothing"
    yield "objects", anew, dict.fromkeys(PARAMS, 0.0), list(PARAMS)
    yield "result-value", "everything", dict.fromkeys(PARAMS, 1.0), []


def _oddities() -> Iterator[tuple[str, str, dict[str, float], list[str]]]:
    """Yield numbers for which `==` and bits disagree: as in `_changes`, but with what Params hold before 0 is added."""
    yield "nan", "the scale is NaN, and nothing changed", {"scale": np.nan}, list(PARAMS)
    yield "sign", "the bias went from -0.0 to 0.0", {"bias": -0.0}, ["kernel", "scale"]


def _trained(attempt: Attempt, name: str, jit: Callable[..., Any], stay: list[str], kernel: jax.Array) -> None:
    """Run `train_twice` with one transform, and look at what it compiled, how it called that, and what came back.

    Raises:
        Stop: If one of these is not as the problem says.
    """
    watched = Watched(jit)
    wanted = f"{(stay, 1)} for {name}"
    line = attempt.line("train_twice")

    def wrong(kind: str, seen: str, expected: str, about: str = "train_twice") -> Stop:
        return Stop(Finding(kind, about, seen, expected, line))

    try:
        result = attempt.call("train_twice(jit)", jit=watched)
    except TraceContextError as error:
        raise wrong("closure", f"TraceContextError: {error}".split(" (")[0], "step(model)") from None
    if not watched.compiled:
        raise wrong("ignores-jit", "the transform in `jit` was not called", "jit(…)")
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], list)):
        raise wrong("result-type", describe(result), f"a tuple, {wanted}")
    unchanged, traces = result
    if not watched.models or any(model is None for model in watched.models):
        raise wrong("closure", "the compiled step is not given the model", "step(model)")
    if len(watched.models) != 2:
        raise wrong("calls", f"calls of the compiled step: {len(watched.models)}", "2")
    first, last = watched.models
    if last is not first:
        kind = "taken-back" if jit is jax.jit else "model"
        raise wrong(kind, "the second call was given another model than the first", "the same model")
    bias, own = np.asarray(content(first.bias)), content(first.kernel)
    if jit is nnx.jit and not (bias == 2.0).all():
        raise wrong("step", f"after two steps with nnx.jit the bias is {numbers(bias)}", "2")
    if not close(own, kernel):
        raise wrong("model", f"a kernel of {spec(own)}, {numbers(own)}", numbers(kernel))
    if first.bias is not watched.biases[0]:
        seen = f"after the steps, {describe(first.bias)} stands there"
        raise wrong("replaced", seen, "the Param from before", about="bias")
    if unchanged != stay:
        kind = "before" if unchanged == ["bias", "kernel"] else "result-value"
        raise wrong(kind, f"{result} for {name}", wanted)
    if len(watched.compiled) > 1:
        raise wrong("retraced", f"{len(watched.compiled)} calls of {name}, {traces} traces", "1 and 1")
    if traces != 1:
        counted = hasattr(watched.compiled[0], "traces")
        raise wrong("result-value" if counted else "counts-calls", f"{result} for {name}", wanted)
