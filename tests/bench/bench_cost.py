"""The cost of each way to call a model of small layers, as ratios to raw arrays taken in one run.

    python noxfile.py bench -- -k cost

Each round times raw arrays and then the contender, so that a busy machine disturbs both alike.
A ratio is the median of those of the rounds.
"""

import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from nnx_state import MultiParam


def forward(model, x):
    return model(x)


def merged(graphdef, state, x):
    return forward(nnx.merge(graphdef, state), x)


def by_hand(layers, x):
    for kernel, bias in layers:
        x = x @ kernel + bias
    return x


def raw(model):
    return partial(jax.jit(by_hand), [(layer.kernel[...], layer.bias[...]) for layer in model.layers])


def split_once(model, convert):
    graphdef, state = nnx.split(model)
    return partial(jax.jit(partial(merged, graphdef)), convert(state))


def split_each_time(model):
    compiled = jax.jit(merged, static_argnums=0)
    return lambda x: compiled(*nnx.split(model), x)


WAYS = {
    "eager": lambda model: partial(forward, model),
    "nnx.jit": lambda model: partial(nnx.jit(forward), model),
    "nnx.jit graph=False": lambda model: partial(nnx.jit(forward, graph=False), model),
    "nnx.cached_partial": lambda model: nnx.cached_partial(nnx.jit(forward), model),
    "jax.jit of module": lambda model: partial(jax.jit(forward), model),
    "jax.jit of state": lambda model: split_once(model, lambda state: state),
    "jax.jit of arrays": lambda model: split_once(model, nnx.as_pure),
    "split each time": split_each_time,
}


@pytest.fixture(scope="module")
def rows(request):
    """Collect the ratios and print them as a table at the end."""
    found = []
    yield found
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{'features':>8}{'Variables':>10}  {'way':20}{'median':>11}{'to raw arrays':>15}")
        for row in sorted(found, key=lambda row: (*row[:2], row[-1])):
            print("{:8}{:10}  {:20}{:8.1f} us{:15.2f}".format(*row))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("features", "depth"), [(4, 1), (4, 8), (4, 32), (1024, 1)])
def test_ratio(benchmark, rows, features, depth, way):
    model = nnx.Sequential(*[MultiParam(features, features, rngs=nnx.Rngs(0)) for _ in range(depth)])
    x = jnp.ones((features, features))
    run, run_raw = (partial(make(model), x) for make in (WAYS[way], raw))
    raw_times = []

    def time_raw():
        start = time.perf_counter()
        jax.block_until_ready(run_raw())
        raw_times.append(time.perf_counter() - start)

    rounds = 200 if features < 100 else 20
    benchmark.pedantic(lambda: jax.block_until_ready(run()), setup=time_raw, rounds=rounds, warmup_rounds=5)
    times = benchmark.stats.stats.data
    pairs = zip(times, raw_times[-len(times) :], strict=True)  # the warm-up took the first ones
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    rows.append((features, 3 * depth, way, statistics.median(times) * 1e6, ratio))
