"""The cost of MultiParam beside that of `nnx.Linear` and of raw arrays, as ratios taken in one run.

    python noxfile.py bench -- -k multi_param

Each round times the baseline and then the contender, so that a busy machine disturbs both alike.
A ratio is the median of those of the rounds.
"""

import statistics
import time

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from nnx_state import MultiParam


def raw(features):
    """Return `x @ k + b` with its arrays."""
    model = MultiParam(features, features, rngs=nnx.Rngs(0))
    return (lambda arrays, x: x @ arrays[0] + arrays[1]), (model.kernel[...], model.bias[...])


def module(cls):
    """Return the call of a module with the module."""
    return lambda features: (lambda model, x: model(x), cls(features, features, rngs=nnx.Rngs(0)))


def split(cls):
    """Return a pure function of a module's state with that state."""

    def make(features):
        graphdef, state = nnx.split(cls(features, features, rngs=nnx.Rngs(0)))
        return (lambda state, x: nnx.merge(graphdef, state)(x)), state

    return make


MAKERS = {
    "raw arrays": raw,
    "nnx.Linear": module(nnx.Linear),
    "MultiParam": module(MultiParam),
    "nnx.Linear, split": split(nnx.Linear),
    "MultiParam, split": split(MultiParam),
}


@pytest.fixture(scope="module")
def rows(request):
    """Collect the ratios and print them as a table at the end."""
    found = []
    yield found
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{'':9}{'size':>5}  {'contender':18}{'baseline':12}{'median':>9}{'ratio':>7}")
        for row in sorted(found):
            print("{:9}{:5}  {:18}{:12}{:6.1f} us{:7.2f}".format(*row))


@pytest.mark.parametrize(
    ("how", "features", "contender", "baseline"),
    [
        ("eager", 4, "MultiParam", "raw arrays"),
        ("eager", 4, "MultiParam", "nnx.Linear"),
        ("compiled", 4, "MultiParam, split", "raw arrays"),
        ("compiled", 1024, "nnx.Linear, split", "raw arrays"),
        ("compiled", 1024, "MultiParam, split", "raw arrays"),
    ],
)
def test_ratio(benchmark, rows, how, features, contender, baseline):
    x = jnp.ones(features)
    compile_ = jax.jit if how == "compiled" else lambda function: function

    def ready(name):
        function, state = MAKERS[name](features)
        function = compile_(function)
        return lambda: jax.block_until_ready(function(state, x))

    run, run_baseline = ready(contender), ready(baseline)
    baseline_times = []

    def time_baseline():
        start = time.perf_counter()
        run_baseline()
        baseline_times.append(time.perf_counter() - start)

    benchmark.pedantic(run, setup=time_baseline, rounds=1000, warmup_rounds=100)
    times = benchmark.stats.stats.data
    pairs = zip(times, baseline_times[-len(times) :], strict=True)  # the warm-up took the first ones
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    rows.append((how, features, contender, baseline, statistics.median(times) * 1e6, ratio))
