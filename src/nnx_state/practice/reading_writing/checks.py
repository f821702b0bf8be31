"""Checks of the exercise Reading and writing."""

import contextlib
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.probe import Attempt, Stop, close, describe, numbers, spec

ERRORS = (TypeError, ValueError, AttributeError)
# What goes in: the array that the Variable holds, the value as the learner would write it.
ARRAYS = ((jnp.zeros(3), "jnp.array([1.0, 2.0, 3.0])"), (jnp.zeros((), jnp.int32), "jnp.array(3, jnp.int32)"))
NUMBERS = ((jnp.zeros((), jnp.int32), "3"), (jnp.zeros(()), "2.5"), (jnp.zeros((), bool), "True"))
# What does not, and the finding if it does.
DTYPES = (
    (jnp.ones((), jnp.int32), "2.7", "number-cast"),
    (jnp.ones(()), "1j", "number-cast"),
    (jnp.zeros((), bool), "3", "number-cast"),
    (jnp.ones((), jnp.int32), "3.0", "number-cast"),
    (jnp.ones((), jnp.int8), "jnp.array(300, jnp.int32)", "array-cast"),
    (jnp.ones((), jnp.int32), "jnp.array(2.7, jnp.float32)", "array-cast"),
    (jnp.ones(3), "jnp.array([4, 5, 6], jnp.int32)", "array-cast"),
    (jnp.ones(()), "jnp.array(3)", "array-cast"),
    (jnp.ones(()), "jnp.array(2.5, jnp.float16)", "array-cast"),
)
SHAPES = (
    (jnp.ones(3), "9.0", "number-fill"),
    (jnp.ones(3), "jnp.array(9.0, jnp.float32)", "array-broadcast"),
    (jnp.ones((2, 3)), "jnp.array([7.0, 8.0, 9.0])", "array-broadcast"),
    (jnp.ones((), jnp.int32), "jnp.array([3], jnp.int32)", "array-broadcast"),
    (jnp.ones(3), "jnp.array([[7.0, 8.0, 9.0]])", "array-broadcast"),
)


@dataclass
class Trial:
    """One call of `assign`, and what came of it."""

    what: str
    variable: nnx.Variable[Any]
    value: Any
    result: Any = None
    error: Exception | None = None

    @property
    def held(self) -> Any:
        """Return what the Variable holds now, a Python number too."""
        return self.variable.get_raw_value()

    @property
    def is_array(self) -> bool:
        """Tell whether the Variable still holds an array."""
        return isinstance(self.held, (jax.Array, np.ndarray))

    @property
    def seen(self) -> str:
        """Say in short what the Variable holds now."""
        return numbers(self.held) if self.is_array else describe(self.held)

    def refused(self, *errors: type[Exception]) -> bool:
        """Tell whether the call raised one of these errors; another one ends the checks."""
        if self.error is not None and not isinstance(self.error, errors):
            raise self.error
        return self.error is not None

    def line(self, attempt: Attempt) -> int | None:
        """Return the line of the attempt that raised, or that of its function."""
        frames = traceback.extract_tb(self.error.__traceback__ if self.error else None)
        lines = [frame.lineno for frame in frames if frame.filename == str(attempt.path)]
        return lines[-1] if lines else attempt.line("assign")

    @property
    def said(self) -> str:
        """Return the error in one line."""
        first = next(iter(str(self.error).strip().splitlines()), "")
        return f"{type(self.error).__name__}: {first}"


def trial(attempt: Attempt, start: jax.Array, text: str, kind: Any = nnx.Variable) -> Trial:
    """Call `assign` once, and keep what it raises."""
    made = Trial(f"`assign(v, {text})`, v of {spec(start)},", kind(start), eval(text, {"jnp": jnp}))
    with warnings.catch_warnings(), attempt.does(made.what.rstrip(",")):
        warnings.simplefilter("ignore")  # JAX warns of some casts
        try:
            made.result = attempt.module.assign(made.variable, made.value)
        except NotImplementedError as error:
            if "In-place" not in str(error):
                raise
            made.error = error
            seen = f"{made.what} raised {made.said}"
            raise Stop(Finding("in-place", "variable", seen, "a write into v", made.line(attempt))) from None
        except MemoryError:
            raise
        except Exception as error:
            made.error = error
    return made


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    attempt.function("assign", "variable", "value")
    yield from ()


def writes(attempt: Attempt) -> Iterator[Finding]:
    """An array that fits is written into the Variable."""
    line = attempt.line("assign")
    for start, text in ARRAYS:
        for kind in (nnx.Variable, nnx.Param):
            made = trial(attempt, start, text, kind)
            what = made.what.replace("v of", f"v a {kind.__name__} of")
            if made.refused(TypeError, ValueError):
                raise Stop(Finding("refused", "array", f"{what} raised {made.said}", "no error", made.line(attempt)))
            if not made.is_array or not close(made.held, made.value):
                unchanged = made.is_array and close(made.held, start)
                measured = f"After the call every holder of v reads {made.seen}." if unchanged else ""
                seen = f"after {what} v holds {made.seen}"
                seen += f", and it returns {describe(made.result)}" if made.result is not None else ""
                expected = f"v holds {numbers(made.value)}"
                finding = Finding("unchanged" if unchanged else "value", "variable", seen, expected, line, measured)
                raise Stop(finding)
    if made.result is not None:
        yield Finding("result-type", "assign", f"it returns {describe(made.result)}", "None", line)


def numbers_that_fit(attempt: Attempt) -> Iterator[Finding]:
    """A Python number goes into a scalar, as an array of the dtype that is there."""
    line = attempt.line("assign")
    made = trial(attempt, jnp.zeros(()), "3")
    if made.refused(*ERRORS) and not trial(attempt, jnp.zeros(()), "2.5").error:
        yield Finding("refused", "integer", f"{made.what} raised {made.said}", "3 fits float32", made.line(attempt))
    for start, text in NUMBERS:
        made = trial(attempt, start, text)
        if made.refused(*ERRORS):
            yield Finding("refused", "number", f"{made.what} raised {made.said}", "no error", made.line(attempt))
            return
    for start, text in ((jnp.zeros(()), "3"), *NUMBERS):
        made = trial(attempt, start, text)
        if made.error:
            continue
        if not made.is_array:
            measured = ""
            try:
                made.variable[...]
            except TypeError as error:
                measured = f"`v[...]` then raises TypeError: {error}."
            yield Finding("inside", "number", f"after {made.what} v holds {made.seen}", "an array", line, measured)
            return
        if made.held.dtype != start.dtype:
            seen = f"after {made.what} v is {spec(made.held)}"
            with contextlib.suppress(Exception):
                made.variable[...] += 0.5
            measured = f"After a further `v[...] += 0.5` it holds {made.seen}." if text == "3" else ""
            yield Finding("dtype", "number", seen, spec(start), line, measured)
            return
        if not close(made.held, start + made.value):
            yield Finding("value", "variable", f"after {made.what} v holds {made.seen}", text, line)
            return


def refusals(attempt: Attempt) -> Iterator[Finding]:
    """Another dtype raises TypeError, another shape ValueError, and nothing is written; each mistake is told once."""
    told = set[str]()
    number = trial(attempt, jnp.zeros(()), "2.5")
    for error, cases in ((TypeError, DTYPES), (ValueError, SHAPES)):
        for start, text, name in cases:
            if name.startswith("number") and (number.error or not number.is_array):  # that is found above
                continue
            finding = _refusal(attempt, trial(attempt, start, text), start, name, error)
            if finding and finding.name not in told:
                told.add(finding.name)
                yield finding


def compiled(attempt: Attempt) -> Iterator[Finding]:
    """The function works under `nnx.jit`."""
    line = attempt.line("assign")
    trials: list[tuple[Any, Any, Any]] = [(nnx.Param(jnp.zeros(3)), jnp.arange(3.0), nnx.jit(attempt.module.assign))]
    if not trial(attempt, jnp.zeros((), jnp.int32), "3").error:
        by_number = nnx.jit(lambda v, value: attempt.module.assign(v, 3))
        trials.append((nnx.Variable(jnp.zeros((), jnp.int32)), jnp.array(3), by_number))
    for variable, value, call in trials:
        try:
            call(variable, value)
        except Exception as error:
            said = next(iter(str(error).strip().splitlines()), "")
            seen = f"under `nnx.jit` it raised {type(error).__name__}: {said}"
            yield Finding("raised", "jit", seen, "no error", line)
            return
        if not close(variable.get_raw_value(), value):
            seen = f"after a compiled call v holds {numbers(variable.get_raw_value())}"
            yield Finding("unchanged", "jit", seen, numbers(value), line)
            return


STAGES = (names, writes, numbers_that_fit, refusals, compiled)


def _refusal(attempt: Attempt, made: Trial, start: jax.Array, name: str, wanted: type[Exception]) -> Finding | None:
    """Return what is wrong with a call that should have raised."""
    line = made.line(attempt)
    about, kind = name.split("-")
    kept = made.is_array and made.held.dtype == start.dtype and close(made.held, start)
    expected = f"{wanted.__name__}, and v holds {numbers(start)}"
    if made.error is not None:
        if not kept:
            seen = f"{made.what} raised {type(made.error).__name__}, and v holds {made.seen}"
            return Finding("spoiled", "variable", seen, expected, line)
        if not isinstance(made.error, wanted):
            about = "dtype" if wanted is TypeError else "shape"
            return Finding("error", about, f"{made.what} raised {made.said}", wanted.__name__, line)
        return None
    seen = f"{made.what} raised nothing, and v holds {made.seen}"
    if kept:
        return Finding("silent", "assign", seen, expected, line)
    if not made.is_array:
        return Finding("inside", "number", seen, expected, line)
    if made.held.dtype != start.dtype or made.held.shape != start.shape:
        kind = "dtype" if made.held.dtype != start.dtype else "shape"
        seen = f"{made.what} raised nothing, and v is {spec(made.held)}"
        return Finding(kind, "variable", seen, expected, line, _traces(start, made.held))
    measured = ""
    if kind == "cast" and not close(made.held, made.value):
        measured = f"What was {made.value} is now {made.seen}, and nobody was told."
    if kind == "fill":
        measured = f"One number took the place of {start.size}."
    return Finding(kind, about, seen, expected, line, measured)


def _traces(before: jax.Array, after: jax.Array) -> str:
    """Count how often a compiled step is traced when the array in its Variable becomes another one."""
    traces = []

    @nnx.jit
    def step(variable: nnx.Variable[Any]) -> None:
        traces.append("trace")

    for array in (before, before, after):
        step(nnx.Variable(array))
    return f"A compiled step is traced again after that call: {len(traces)} traces for one Variable."
