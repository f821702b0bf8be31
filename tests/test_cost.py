"""Counts of Python functions beside a profiler's, and times on a clock of ours."""

import cProfile
import gc
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import MultiParam, TraceCounter, microseconds, python_calls


def stack(depth, features=4):
    return nnx.Sequential(*[MultiParam(features, features, rngs=nnx.Rngs(0)) for _ in range(depth)])


def forward(model, x):
    model.layers[0].count[...] += 1.0
    return model(x)


def profiled(call):
    """Return the calls of Python functions that cProfile sees, but for those that are not counted."""
    uncounted = {"<listcomp>", "<dictcomp>", "<setcomp>", "__eq__"}

    def counts(code):
        return not isinstance(code, str) and code.co_name not in uncounted

    call()
    call()
    profile = cProfile.Profile()
    gc.disable()
    try:
        profile.runcall(call)
    finally:
        gc.enable()
    found = profile.getstats()
    comparing = [entry for entry in found if getattr(entry.code, "co_name", None) == "__eq__"]
    compared = sum(call.callcount for entry in comparing for call in entry.calls or () if counts(call.code))
    return sum(entry.callcount for entry in found if counts(entry.code)) - compared


@pytest.mark.parametrize(
    "jit",
    [lambda f: f, nnx.jit, jax.jit, lambda f: nnx.jit(f, graph=False)],
    ids=["eager", "nnx.jit", "jax.jit", "tree"],
)
def test_the_count_is_that_of_a_profiler(jit):
    model, x, call = stack(3), jnp.ones(4), jit(forward)
    assert python_calls(call, model, x) == profiled(lambda: call(model, x)) - 1  # the lambda


def test_the_count_is_the_same_each_time():
    model, call = stack(2), nnx.jit(forward)
    counts = {python_calls(call, model, jnp.ones(4)) for _ in range(5)}
    assert len(counts) == 1


def test_more_variables_cost_more_and_larger_ones_do_not():
    def count(jit, model, features=4):
        return python_calls(jit(forward), model, jnp.ones(features))

    for jit in (nnx.jit, jax.jit):
        few, more, most = (count(jit, stack(depth)) for depth in (1, 2, 4))
        assert few < more < most
        assert most - more == 2 * (more - few)
        assert count(jit, stack(1, 100), 100) == few
    assert count(nnx.jit, stack(2)) > 3 * count(jax.jit, stack(2))


def test_what_a_comparison_calls_is_not_counted():
    class Key:
        def __hash__(self):
            return 0

        def __eq__(self, other):
            return self.same(other)

        def same(self, other):
            return id(self) == id(other)

    table = {Key(): number for number in range(5)}
    assert python_calls(lambda: 0) == 1
    assert python_calls(lambda: Key() in table) == 2  # the lambda and __hash__


@given(st.integers(1, 6), st.booleans())
def test_arrays_cost_the_same_at_any_depth(depth, pass_by_name):
    graphdef, state = nnx.split(stack(depth))
    call = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))
    arrays = nnx.as_pure(state)
    counts = (
        python_calls(call, state=arrays, x=jnp.ones(4)) if pass_by_name else python_calls(call, arrays, jnp.ones(4))
    )
    assert counts <= 4


def test_what_is_counted_is_the_third_call():
    counter = TraceCounter(forward)
    model = stack(1)
    python_calls(nnx.jit(counter), model, jnp.ones(4))
    assert counter.traces == 1
    assert model.layers[0].count[...] == 3.0
    calls = []

    def grows():
        calls.append(None)
        return [f() for f in [lambda: None] * 10 ** len(calls)]

    assert python_calls(grows) == 1001


def test_other_threads_do_not_count():
    def work():
        thread = threading.Thread(target=lambda: [f() for f in [lambda: None] * 500])
        thread.start()
        thread.join()

    assert python_calls(work) < 100


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_profiler_and_collector_are_put_back(collects, fails):
    calls, before = [], sys.getprofile()

    def profiler(frame, event, argument):
        pass

    def function():
        calls.append(gc.isenabled())
        assert not (fails and len(calls) == 3), "on purpose"

    was_enabled = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        sys.setprofile(profiler)
        if fails:
            with pytest.raises(AssertionError, match="on purpose"):
                python_calls(function)
        else:
            python_calls(function)
        found = sys.getprofile(), gc.isenabled()
    finally:
        sys.setprofile(before)
        (gc.enable if was_enabled else gc.disable)()
    assert found == (profiler, collects)
    assert calls == [collects, collects, False]


def test_calls_can_be_counted_within_a_count():
    assert python_calls(lambda: python_calls(lambda: None)) > 1
    assert sys.getprofile() is None


class Clock:
    """A clock that stands still until it is put forward."""

    def __init__(self, monkeypatch):
        self.now, self.order = 0, []
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self.now)

    def takes(self, name, durations, until_ready=0):
        """Return a function whose calls take so many nanoseconds, and its result some more."""
        durations = iter(durations)

        def wait():
            self.now += until_ready

        def function():
            self.order.append(name)
            self.now += next(durations)
            result = type("Result", (), {"block_until_ready": lambda self: wait()})
            return {"result": result()}

        return function


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=7), st.integers(0, 1000))
def test_times_are_medians_in_microseconds(durations, until_ready):
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = Clock(monkeypatch)
        one = clock.takes("one", [10**12, *durations], until_ready)
        two = clock.takes("two", [10**12, *durations[::-1]])
        times = microseconds({"one": one, "two": two}, rounds=len(durations))
    median = float(np.median(durations))
    assert times == pytest.approx({"one": (median + until_ready) / 1000, "two": median / 1000})
    assert clock.order == ["one", "two"] * (1 + len(durations))


def test_by_default_there_are_100_rounds(monkeypatch):
    clock = Clock(monkeypatch)
    assert microseconds({"one": clock.takes("one", range(0, 101_000, 1000))}) == {"one": 50.5}
    assert len(clock.order) == 101


def test_no_functions_take_no_time():
    assert microseconds({}) == {}


class Uncallable:
    """Cannot be called."""


@pytest.mark.parametrize("function", [None, 3, "step", jnp.ones(2), Uncallable()])
def test_what_cannot_be_called_is_refused(function):
    given = f"got a {type(function).__name__} that cannot be called: pass the function, not its result"
    with pytest.raises(TypeError) as caught:
        python_calls(function)
    assert str(caught.value) == f"function must be a function, {given}: python_calls(step, model)."
    called = []
    with pytest.raises(TypeError) as caught:
        microseconds({"first": lambda: called.append(1), "second": function})
    assert str(caught.value) == f"second must be a function, {given}: lambda: step(model)."
    assert called == []


@pytest.mark.parametrize(("rounds", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_rounds_must_be_a_size(rounds, error):
    with pytest.raises(error, match="rounds must be an int from 1 to 2147483647, got"):
        microseconds({"len": lambda: len("")}, rounds=rounds)
