"""Checks of the exercise Reading and writing.

`assign` is called with many pairs of a Variable and a value: first with arrays that fit, then with Python numbers that
fit, then with what must be refused, each group only as far as the one before it makes sense. Last it runs compiled.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.damage import shown, traces
from nnx_state.practice.findings import Finding, told
from nnx_state.practice.lines import raising_line
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.trials import refused_in_place
from nnx_state.practice.values import array_of, close, describe, is_array, numbers, spec


@dataclass
class Case:
    """What a Variable holds, and what is assigned to it.

    Attributes:
        start: the array that the Variable holds.
        text: the value, as the learner would write it.
        kind: the finding if a value is accepted that must be refused: about which values, and what happens to them.
    """

    start: np.ndarray
    text: str
    kind: str = ""


ERRORS = (TypeError, ValueError, AttributeError)  # of a function that refuses what it should take
FLOAT, INTEGER, TRUTH = np.zeros((), np.float32), np.zeros((), np.int32), np.zeros((), bool)
ONE, ONES = np.ones((), np.float32), np.ones(3, np.float32)

ARRAYS = (Case(np.zeros(3, np.float32), "jnp.array([1.0, 2.0, 3.0])"), Case(INTEGER, "jnp.array(3, jnp.int32)"))
WHOLE = Case(FLOAT, "3")  # an int that a float32 Variable takes
NUMBERS = (Case(INTEGER, "3"), Case(FLOAT, "2.5"), Case(TRUTH, "True"))
DTYPES = (
    Case(np.ones((), np.int32), "2.7", "number-cast"),
    Case(ONE, "1j", "number-cast"),
    Case(TRUTH, "3", "number-cast"),
    Case(np.ones((), np.int32), "3.0", "number-cast"),
    Case(np.ones((), np.int8), "jnp.array(300, jnp.int32)", "array-cast"),
    Case(np.ones((), np.int32), "jnp.array(2.7, jnp.float32)", "array-cast"),
    Case(ONES, "jnp.array([4, 5, 6], jnp.int32)", "array-cast"),
    Case(ONE, "jnp.array(3)", "array-cast"),
    Case(ONE, "jnp.array(2.5, jnp.float16)", "array-cast"),
)
SHAPES = (
    Case(ONES, "9.0", "number-fill"),
    Case(ONES, "jnp.array(9.0, jnp.float32)", "array-broadcast"),
    Case(np.ones((2, 3), np.float32), "jnp.array([7.0, 8.0, 9.0])", "array-broadcast"),
    Case(np.ones((), np.int32), "jnp.array([3], jnp.int32)", "array-broadcast"),
    Case(ONES, "jnp.array([[7.0, 8.0, 9.0]])", "array-broadcast"),
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
    def seen(self) -> str:
        """Say in short what the Variable holds now."""
        return numbers(self.held) if is_array(self.held) else describe(self.held)

    @property
    def said(self) -> str:
        """Return the error in one line."""
        return told(self.error, most=500) if self.error else ""

    def refused(self, *errors: type[Exception]) -> bool:
        """Tell whether the call raised one of these errors; another one ends the checks."""
        if self.error is not None and not isinstance(self.error, errors):
            raise self.error
        return self.error is not None

    def line(self, attempt: Attempt) -> int | None:
        """Return the line of the attempt that raised, or that of its function."""
        raised = raising_line(attempt.path, self.error) if self.error else None
        return raised or attempt.line("assign")


def trial(attempt: Attempt, case: Case, kind: Any = nnx.Variable) -> Trial:
    """Call `assign` once, and keep what it raises."""
    variable, value = kind(array_of(case.start)), eval(case.text, {"jnp": jnp})
    made = Trial(f"`assign(v, {case.text})`, v of {spec(case.start)},", variable, value)
    with warnings.catch_warnings(), attempt.does(made.what.rstrip(",")):
        warnings.simplefilter("ignore")  # JAX warns of some casts
        try:
            made.result = attempt.module.assign(variable, value)
        except NotImplementedError as error:
            if not refused_in_place(error):
                raise
            made.error = error
            seen = f"{made.what} raised {made.said}"
            raise Stop(Finding("in-place", "variable", seen, "a write into v", made.line(attempt))) from None
        except MemoryError:
            raise
        except Exception as error:
            attempt.stop_at_habit(error)
            made.error = error
    return made


def names(attempt: Attempt) -> Iterator[Finding]:
    """What the problem asks for is there."""
    attempt.function("assign", "variable", "value")
    yield from ()


def writes(attempt: Attempt) -> Iterator[Finding]:
    """An array that fits is written into the Variable, or the Param."""
    line = attempt.line("assign")
    for case in ARRAYS:
        for kind in (nnx.Variable, nnx.Param):
            made = trial(attempt, case, kind)
            what = made.what.replace("v of", f"v a {kind.__name__} of")
            if made.refused(TypeError, ValueError):
                raise Stop(Finding("refused", "array", f"{what} raised {made.said}", "no error", made.line(attempt)))
            if is_array(made.held) and close(made.held, made.value):
                continue
            seen = f"after {what} v holds {made.seen}"
            expected = f"v holds {numbers(made.value)}"
            if made.result is not None:
                seen += f", and it returns {describe(made.result)}"
            if is_array(made.held) and close(made.held, case.start):
                measured = f"After the call every holder of v reads {made.seen}."
                raise Stop(Finding("unchanged", "variable", seen, expected, line, measured))
            raise Stop(Finding("value", "variable", seen, expected, line))
    if made.result is not None:
        yield Finding("result-type", "assign", f"it returns {describe(made.result)}", "None", line)


def numbers_that_fit(attempt: Attempt) -> Iterator[Finding]:
    """A Python number goes into a scalar, as an array of the dtype that is there."""
    whole, others = trial(attempt, WHOLE), [trial(attempt, case) for case in NUMBERS]
    refused = next((made for made in others if made.refused(*ERRORS)), None)
    if whole.refused(*ERRORS) and not others[1].error:
        seen = f"{whole.what} raised {whole.said}"
        yield Finding("refused", "integer", seen, "3 fits float32", whole.line(attempt))
    if refused:
        seen = f"{refused.what} raised {refused.said}"
        yield Finding("refused", "number", seen, "no error", refused.line(attempt))
        return
    for case, made in zip((WHOLE, *NUMBERS), (whole, *others), strict=True):
        if not made.error and (finding := _number(attempt, case, made)):
            yield finding
            return


def refusals(attempt: Attempt) -> Iterator[Finding]:
    """Another dtype raises TypeError, another shape ValueError, and nothing is written; each mistake is told once."""
    told = set[str]()
    number = trial(attempt, Case(FLOAT, "2.5"))
    takes_numbers = not number.error and is_array(number.held)  # else that is told above
    for error, cases in ((TypeError, DTYPES), (ValueError, SHAPES)):
        for case in cases:
            if case.kind.startswith("number") and not takes_numbers:
                continue
            finding = _refusal(attempt, case, trial(attempt, case), error)
            if finding and finding.name not in told:
                told.add(finding.name)
                yield finding


def compiled(attempt: Attempt) -> Iterator[Finding]:
    """The function works under `nnx.jit`."""
    line, assign = attempt.line("assign"), attempt.module.assign
    trials: list[tuple[Any, Any, Any]] = [(nnx.Param(jnp.zeros(3)), jnp.array([0.0, 1.0, 2.0]), nnx.jit(assign))]
    if not trial(attempt, Case(INTEGER, "3")).error:
        by_number = nnx.jit(lambda v, value: assign(v, 3))
        trials.append((nnx.Variable(array_of(INTEGER)), jnp.array(3), by_number))
    for variable, value, call in trials:
        try:
            call(variable, value)
        except Exception as error:
            seen = f"under `nnx.jit` it raised {told(error, most=500)}"
            yield Finding("raised", "jit", seen, "no error", line)
            return
        if not close(variable.get_raw_value(), value):
            seen = f"after a compiled call v holds {numbers(variable.get_raw_value())}"
            yield Finding("unchanged", "jit", seen, numbers(value), line)
            return


STAGES = (names, writes, numbers_that_fit, refusals, compiled)


def _number(attempt: Attempt, case: Case, made: Trial) -> Finding | None:
    """Return what is wrong with a Variable to which a Python number was assigned."""
    line = attempt.line("assign")
    if not is_array(made.held):
        measured = ""
        try:
            made.variable[...]
        except TypeError as error:
            measured = f"`v[...]` then raises TypeError: {error}."
        seen = f"after {made.what} v holds {made.seen}"
        return Finding("inside", "number", seen, "an array", line, measured)
    if made.held.dtype != case.start.dtype:
        seen = f"after {made.what} v is {spec(made.held)}"
        measured = shown(_next_write, made) if case.text == "3" else ""
        return Finding("dtype", "number", seen, spec(case.start), line, measured)
    if not close(made.held, case.start + made.value):
        return Finding("value", "variable", f"after {made.what} v holds {made.seen}", case.text, line)
    return None


def _next_write(made: Trial) -> str:
    made.variable[...] += 0.5
    return f"After a further `v[...] += 0.5` it holds {made.seen}."


def _refusal(attempt: Attempt, case: Case, made: Trial, wanted: type[Exception]) -> Finding | None:
    """Return what is wrong with a call that should have raised."""
    line, (about, kind) = made.line(attempt), case.kind.split("-")
    kept = is_array(made.held) and made.held.dtype == case.start.dtype and close(made.held, case.start)
    expected = f"{wanted.__name__}, and v holds {numbers(case.start)}"
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
    if not is_array(made.held):
        return Finding("inside", "number", seen, expected, line)
    if spec(made.held) != spec(case.start):
        kind = "dtype" if made.held.dtype != case.start.dtype else "shape"
        seen = f"{made.what} raised nothing, and v is {spec(made.held)}"
        return Finding(kind, "variable", seen, expected, line, _retraced(case.start, made.held))
    measured = ""
    if kind == "cast" and not close(made.held, made.value):
        measured = f"What was {made.value} is now {made.seen}, and nobody was told."
    if kind == "fill":
        measured = f"One number took the place of {case.start.size}."
    return Finding(kind, about, seen, expected, line, measured)


def _retraced(before: np.ndarray, after: Any) -> str:
    """Count how often a compiled step is traced when the array in its Variable becomes another one."""
    arrays = [array_of(before), array_of(before), after]
    taken = traces(lambda variable: None, [(nnx.Variable(array),) for array in arrays])
    return f"A compiled step is traced again after that call: {taken} traces for one Variable."
