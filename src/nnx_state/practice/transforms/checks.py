"""Checks of the exercise Transforms."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.errors import TraceContextError

from nnx_state import MultiParam
from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, close, content, describe, numbers, spec


class Model(nnx.Module):
    """A model with three Params, whose names are not in order, and a counter."""

    def __init__(self) -> None:
        self.scale = nnx.Param(jnp.array(2.0))
        self.kernel = nnx.Param(jnp.linspace(-1.0, 1.0, 8).reshape(4, 2))
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


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    attempt.function("unchanged", "before", "model")
    attempt.function("TraceCounter", "function")
    attempt.function("train_twice", "jit")
    yield from ()


def comparing(attempt: Attempt) -> Iterator[Finding]:
    """`unchanged` names the Params that are equal, bit for bit."""
    line = attempt.line("unchanged")

    def compare(**changes: Any) -> Any:
        model = Model()
        before = nnx.clone(model)
        for name, change in changes.items():
            getattr(model, name)[...] = getattr(model, name)[...] + change
        return attempt.call("unchanged(before, model)", before=before, model=model)

    seen, wanted = compare(bias=1.0), ["kernel", "scale"]
    case = "only the bias changed: "
    if not isinstance(seen, list):
        yield Finding("result-type", "unchanged", describe(seen), "a list of strings", line)
    elif not all(isinstance(name, str) for name in seen):
        listed = ", ".join(map(describe, seen[:2]))
        yield Finding("not-names", "unchanged", f"{case}a list of {listed}", f"{wanted}", line)
    elif seen == ["bias"]:
        yield Finding("inverted", "unchanged", f"{case}{seen}", f"{wanted}", line)
    elif set(seen) == {"count", *wanted}:
        yield Finding("other-types", "unchanged", f"{case}{seen}", f"{wanted}", line)
    elif set(seen) == set(wanted) and seen != wanted:
        yield Finding("unsorted", "unchanged", f"{case}{seen}", f"{wanted}, sorted", line)
    else:
        drop = jnp.zeros((4, 2)).at[0, 0].set(-1.0)
        swap = jnp.zeros((4, 2)).at[1].set(jnp.array([-1.0, 1.0]))
        tiny = jnp.zeros((4, 2)).at[3, 1].set(jnp.float32(2**-22))
        for kind, what, change, expected in (
            ("result-value", "the bias", {"bias": 1.0}, wanted),
            ("part", "one number of the eight in the kernel", {"kernel": drop}, ["bias", "scale"]),
            ("part", "two numbers in the kernel, whose sum stayed,", {"kernel": swap}, ["bias", "scale"]),
            ("tolerance", "one number in the kernel, by 2.4e-07,", {"kernel": tiny}, ["bias", "scale"]),
            (
                "objects",
                "no number, but every array was written anew, so nothing",
                dict.fromkeys(("scale", "kernel", "bias"), 0.0),
                ["bias", "kernel", "scale"],
            ),
            ("result-value", "everything", dict.fromkeys(("scale", "kernel", "bias"), 1.0), []),
        ):
            if (seen := compare(**change)) != expected:
                yield Finding(kind, "unchanged", f"{what} changed: {seen}", f"{expected}", line)
                return


def counting(attempt: Attempt) -> Iterator[Finding]:
    """`TraceCounter` hands on what it is given, and counts the runs of Python."""
    line, runs, x = attempt.line("TraceCounter"), [], jnp.ones(3)

    def double(x: jax.Array, *, more: float = 0.0) -> jax.Array:
        runs.append(x.shape)
        return 2 * x + more

    counter = attempt.call("TraceCounter(function)", function=double)
    if not hasattr(counter, "traces"):
        own = ", ".join(getattr(counter, "__dict__", {})) or "nothing"
        raise Stop(Finding("missing", "traces", f"the counter has {own}", "traces", line))
    if not callable(counter):
        raise Stop(Finding("not-callable", "counter", describe(counter), "counter(x)", line))
    if isinstance(counter, nnx.Module):
        raise Stop(Finding("module", "counter", "a TraceCounter is an nnx.Module", "a plain class", line))
    if isinstance(counter.traces, nnx.Variable):
        raise Stop(Finding("variable", "traces", describe(counter.traces), "the int 0", line))
    if callable(counter.traces) or counter.traces != 0:
        raise Stop(Finding("start", "traces", f"a new counter has {describe(counter.traces)}", "the int 0", line))
    for _ in range(2):
        y = attempt.call("counter(x)", counter=counter, x=x)
    if not (isinstance(y, jax.Array) and close(y, 2 * x)):
        seen = f"it returns {describe(y)}"
        raise Stop(Finding("result", "counter", seen, "what the function returns", line))
    if len(runs) != 2:
        raise Stop(Finding("compiles", "counter", f"two calls ran the function {len(runs)}x", "2x", line))
    try:
        y = attempt.call("counter(x, more=1.0)", counter=counter, x=x)
    except TypeError as error:
        raise Stop(
            Finding("keywords", "counter", f"TypeError: {error}", "the arguments of the function", line)
        ) from None
    if not close(y, 2 * x + 1):
        raise Stop(Finding("keywords", "counter", "more=1.0 is lost", "the arguments of the function", line))
    if counter.traces != 3:
        raise Stop(Finding("value", "traces", f"{describe(counter.traces)} after three calls", "3", line))
    if (other := attempt.call("TraceCounter(function)", function=double)).traces != 0:
        raise Stop(Finding("shared", "traces", f"the next new counter starts with {other.traces}", "0", line))
    for name in ("nnx.jit", "jax.jit"):
        counter = attempt.call("TraceCounter(function)", function=double)
        compiled = attempt.call(f"{name}(counter)", counter=counter, nnx=nnx, jax=jax)
        for size in (3, 3, 4):
            attempt.call("compiled(x)", compiled=compiled, x=jnp.ones(size))
            if isinstance(counter.traces, jax.core.Tracer):
                seen = f"after {name} traces is a {type(counter.traces).__name__}"
                raise Stop(Finding("traced", "traces", seen, "an int", line))
        if counter.traces != 2:
            kind = "calls" if counter.traces == 3 else "value"
            seen = f"{counter.traces} after three calls with {name}, two of them alike"
            raise Stop(Finding(kind, "traces", seen, "2", line))
    yield from ()


def training(attempt: Attempt) -> Iterator[Finding]:
    """`train_twice` compiles a counted step with the transform that it is given, and compares with a copy."""
    if any(True for stage in (comparing, counting) for _ in stage(attempt)):
        return
    line = attempt.line("train_twice")

    def wrong(kind: str, seen: str, expected: str, about: str = "train_twice") -> Stop:
        return Stop(Finding(kind, about, seen, expected, line))

    new = attempt.call("MultiParam(4, 2, rngs=nnx.Rngs(0))", MultiParam=MultiParam, nnx=nnx)
    for name, jit, unchanged in (("nnx.jit", nnx.jit, ["kernel"]), ("jax.jit", jax.jit, ["bias", "kernel"])):
        watched, wanted = Watched(jit), f"{(unchanged, 1)} for {name}"
        try:
            result = attempt.call("train_twice(jit)", jit=watched)
        except TraceContextError as error:
            raise wrong("closure", f"TraceContextError: {error}".split(" (")[0], "step(model)") from None
        if not watched.compiled:
            raise wrong("ignores-jit", "the transform in `jit` was not called", "jit(…)")
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], list)):
            raise wrong("result-type", describe(result), f"a tuple, {wanted}")
        names, traces = result
        if not watched.models or any(model is None for model in watched.models):
            raise wrong("closure", "the compiled step is not given the model", "step(model)")
        if len(watched.models) != 2:
            raise wrong("calls", f"calls of the compiled step: {len(watched.models)}", "2")
        first, last = watched.models
        if last is not first:
            kind = "taken-back" if jit is jax.jit else "model"
            raise wrong(kind, "the second call was given another model than the first", "the same model")
        if jit is nnx.jit and not (content(first.bias) == 2.0).all():
            raise wrong("step", f"after two steps with nnx.jit the bias is {numbers(content(first.bias))}", "2")
        if not close(content(first.kernel), new.kernel[...]):
            raise wrong(
                "model",
                f"a kernel of {spec(content(first.kernel))}, {numbers(content(first.kernel))}",
                numbers(new.kernel[...]),
            )
        if first.bias is not watched.biases[0]:
            raise wrong(
                "replaced", f"after the steps, {describe(first.bias)} stands there", "the Param from before", "bias"
            )
        if names != unchanged:
            raise wrong("before" if names == ["bias", "kernel"] else "result-value", f"{result} for {name}", wanted)
        if len(watched.compiled) > 1:
            raise wrong("retraced", f"{len(watched.compiled)} calls of {name}, {traces} traces", "1 and 1")
        if traces != 1:
            counted = hasattr(watched.compiled[0], "traces")
            raise wrong("result-value" if counted else "counts-calls", f"{result} for {name}", wanted)
    yield from ()


STAGES = (names, comparing, counting, training)
