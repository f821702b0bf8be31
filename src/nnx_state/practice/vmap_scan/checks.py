"""Checks of the exercise vmap: each part is tried apart from the other, with a member that writes into its state."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.formulas import first_that_holds
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.stages import apart
from nnx_state.practice.state import copied, held
from nnx_state.practice.trials import tried
from nnx_state.practice.values import array_of, describe, near, numbers, raw, spec, twin, unlike

SIZE, DEPTH, WIDTH = 3, 5, 2
X = np.linspace(-1.0, 2.0, SIZE * WIDTH, dtype=np.float32).reshape(SIZE, WIDTH) ** 2  # as many examples as members
AXES = ("vmap was requested", "inconsistent sizes", "axis spec", "out of bounds", "No axis found", "non-None")


class Member(nnx.Module):
    """A model that writes into its state: a count of its calls, an average, and the count of a stream."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(noise(rngs.params()))
        self.stream = rngs.dropout.fork()
        self.mean = nnx.BatchStat(array_of(np.zeros(WIDTH, np.float32)))
        self.calls = nnx.Variable(array_of(np.zeros((), np.int32)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return numbers that depend on all examples of the batch."""
        self.calls[...] += 1
        y = x * self.kernel
        self.mean[...] += 0.1 * (y.mean(axis=0) - self.mean)
        return y - self.mean + noise(self.stream())


class Seeded(nnx.Module):
    """A model that holds what its first key draws, and nothing else."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(noise(rngs.params()))


def noise(key: jax.Array) -> jax.Array:
    """Return the two numbers of a key, from 0 to 1: they compile faster than random numbers."""
    return jax.random.key_data(key) / 2.0**32


@functools.cache
def alone() -> tuple[Any, list[tuple[np.ndarray, dict[str, np.ndarray]]]]:
    """Build the members of an ensemble, each from a seed of its own, and call each of them twice, in one program.

    Returns:
        The members as they are at first, in one module with stacked state; and for each call the outputs of all
        members and the state that they have then, both stacked too.
    """
    x = array_of(X)

    @jax.jit
    @jax.vmap
    def run(seed: jax.Array) -> Any:
        member, outputs = Member(nnx.Rngs(jax.random.key(seed))), []
        states = [nnx.as_pure(nnx.state(member))]
        for _ in range(2):
            outputs.append(member(x))
            states.append(nnx.as_pure(nnx.state(member)))
        return states, outputs

    (start, *states), outputs = run(array_of(np.arange(SIZE, dtype=np.int32)))
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: Member(nnx.Rngs(0))))
    after = [copied(nnx.merge(graphdef, state)) for state in states]
    return nnx.merge(graphdef, start), list(zip(map(np.asarray, outputs), after, strict=True))


@apart
def building(attempt: Attempt) -> Iterator[Finding]:
    """All state of an ensemble has one more axis, and its members differ."""
    attempt.function("ensemble", "make", "size", "rngs")
    line = attempt.line("ensemble")
    rngs = nnx.Rngs(0)
    kinds = {"requested": "keys"} | dict.fromkeys(AXES, "axes")
    models = tried(attempt, f"ensemble(make, {SIZE}, rngs)", "ensemble", kinds, make=Member, rngs=rngs)
    if not isinstance(models, Member):
        kind = "list" if isinstance(models, (list, tuple, nnx.List)) else "result-type"
        raise Stop(Finding(kind, "ensemble", f"`ensemble` returns {describe(models)}", "one Member", line))
    every, stacked = held(models), held(alone()[0])
    for path, leaf in every.items():
        if leaf.shape != stacked[path].shape:
            seen, expected = f"{path} is {spec(leaf[...])}", f"{list(stacked[path].shape)}"
            raise Stop(Finding("axis", "ensemble", seen, expected, line))
    for path in ("kernel", "stream.key"):
        if (different := unlike(every[path])) < SIZE:
            seen = f"different values in {path}: {different}"
            measured = f"Of {SIZE} members {SIZE - different} repeat another one, number by number."
            raise Stop(Finding("alike", "ensemble", seen, f"{SIZE}", line, measured))
    if rngs.default.key.shape != ():
        yield Finding("rngs", "ensemble", f"then `rngs` holds {spec(rngs.default.key[...])}", "one key", line)
    other = attempt.call(f"ensemble(make, {DEPTH}, rngs)", make=Seeded, rngs=nnx.Rngs(1))
    if len(other.kernel) != DEPTH:
        seen = f"{len(other.kernel)} members for the size {DEPTH}"
        yield Finding("size", "ensemble", seen, str(DEPTH), line)
    elif np.array_equal(raw(other.kernel)[0], raw(models.kernel)[0]):
        yield Finding("seed", "ensemble", "seeds 0 and 1 give one kernel", "another for each seed", line)


@apart
def predicting(attempt: Attempt) -> Iterator[Finding]:
    """Every member gets all examples, and keeps what it writes, as if it were called alone."""
    attempt.function("predict", "models", "x")
    stacked, calls = alone()
    line = attempt.line("predict")
    x = array_of(X)
    models = twin(stacked)
    for outputs, wanted in calls:
        result = tried(attempt, "predict(models, x)", "predict", dict.fromkeys(AXES, "axes"), models=models, x=x)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise Stop(Finding("result-type", "predict", f"`predict` returns {describe(result)}", "a pair", line))
        _averaged(attempt, result[0], result[1], outputs)
        if lost := [path for path, value in copied(models).items() if not near(value, wanted[path])]:
            seen = f"what was written is lost in {', '.join(lost)}"
            measured = f"After a call of each member the counts are {numbers(models.calls[...])}."
            raise Stop(Finding("lost", "predict", seen, "written state is kept", line, measured))
    yield from ()


STAGES = (building, predicting)


def _averaged(attempt: Attempt, mean: Any, std: Any, outputs: np.ndarray) -> None:
    """Compare what `predict` returned with the mean and the deviation of the outputs of all members.

    Raises:
        Stop: If one of the two is another.
    """
    line, wanted = attempt.line("predict"), (outputs.mean(0), outputs.std(0))
    if np.shape(mean) != X.shape or np.shape(std) != X.shape:
        dealt = np.shape(mean) == (WIDTH,) and not near(mean, outputs.mean((0, 1)))
        seen = f"{spec(mean)} and {spec(std)} for {SIZE} examples and {SIZE} members"
        raise Stop(Finding("dealt" if dealt else "result-shape", "predict", seen, f"two of {list(X.shape)}", line))
    if not (near(mean, wanted[0]) and near(std, wanted[1])):
        kinds = {
            "order": near(mean, wanted[1]) and near(std, wanted[0]),
            "variance": near(std, outputs.var(0)),
            "sample": near(std, outputs.std(0, ddof=1)),
            "axis": near(mean, outputs.mean(1)),
        }
        kind = first_that_holds(kinds, otherwise="result-value")
        seen = f"{numbers(mean)} and {numbers(std)}"
        expected = f"{numbers(wanted[0])} and {numbers(wanted[1])}"
        raise Stop(Finding(kind, "predict", seen, expected, line))
