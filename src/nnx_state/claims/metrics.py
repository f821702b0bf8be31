"""Metrics: what `nnx.metrics` keep, what loses it, and what `sow` stores beside them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import names, numbers, under, write
from nnx_state.claims.registry import claim, expect, need_keyword, raises, works

SEE = "lessons/counters.md#see"
LOST = "lessons/transforms.md#see"
TYPES = "lessons/own-types.md#see"
ISSUE = "an issue of Flax"


class Observed(nnx.Module):
    """A model that holds a metric."""

    def __init__(self) -> None:
        self.weight = nnx.Param(jnp.ones(()))
        self.loss = nnx.metrics.Average("loss")


class Sowing(nnx.Module):
    """A model whose call stores its input, if it is asked to without a capture."""

    def __call__(self, x: Any) -> Any:
        """Return twice the input."""
        keyword: dict[str, Any] = {"capture_noop": True}
        self.sow(nnx.Intermediate, "seen", x, **keyword)
        return x * 2.0


def average() -> Any:
    """Return the average of a loss."""
    return nnx.metrics.Average("loss")


def observe(metric: Any) -> None:
    """Give a metric the losses 1 and 3."""
    metric.update(loss=jnp.array([1.0, 3.0]))


@claim(
    "jax-jit-loses-a-metric",
    "An `nnx.metrics.Average` that is updated under `jax.jit` alone computes NaN.",
    LOST,
    ISSUE,
)
def jax_jit_loses_a_metric() -> None:
    def visit(metric: Any) -> Any:
        observe(metric)
        return metric.compute()

    metric = average()
    expect(float(works(lambda: jax.jit(visit)(metric))), 2.0)
    expect(math.isnan(float(metric.compute())), True)


@claim(
    "nnx-jit-keeps-a-metric",
    "An `nnx.metrics.Average` that is updated under `nnx.jit` computes the average.",
    LOST,
)
def nnx_jit_keeps_a_metric() -> None:
    model = Observed()
    under(nnx.jit, lambda model: observe(model.loss))(model)
    expect(float(model.loss.compute()), 2.0)


@claim(
    "an-average-of-nothing-is-nan",
    "An `nnx.metrics.Average` computes NaN before its first update, and after `reset`.",
    SEE,
)
def an_average_of_nothing_is_nan() -> None:
    metric = average()
    seen = [math.isnan(float(metric.compute()))]
    observe(metric)
    seen.append(math.isnan(float(metric.compute())))
    metric.reset()
    expect([*seen, math.isnan(float(metric.compute()))], [True, False, True])


@claim(
    "an-average-goes-on",
    "An `nnx.metrics.Average` goes on from one epoch to the next, until `reset` is called.",
    SEE,
)
def an_average_goes_on() -> None:
    metric = average()
    observe(metric)
    metric.update(loss=jnp.array([8.0, 8.0]))
    expect(float(metric.compute()), 5.0)
    metric.reset()
    metric.update(loss=jnp.array([8.0, 8.0]))
    expect(float(metric.compute()), 8.0)


@claim(
    "an-average-weighs-each-value",
    "An `nnx.metrics.Average` weighs each value alike, and no batch more than its size.",
    SEE,
)
def an_average_weighs_each_value() -> None:
    metric = average()
    metric.update(loss=jnp.array([1.0, 1.0, 1.0]))
    metric.update(loss=jnp.array([5.0]))
    expect(float(metric.compute()), 2.0)


@claim(
    "a-metric-is-state-of-the-model",
    "A metric that a model holds is among the leaves of `nnx.state(model)`, and no Param.",
    TYPES,
)
def a_metric_is_state_of_the_model() -> None:
    model = Observed()
    expect(names(model), ["loss.count", "loss.total", "weight"])
    expect(names(nnx.state(model, nnx.Param)), ["weight"])


@claim(
    "a-metric-needs-a-filter",
    "`nnx.split(model, nnx.Param)` of a model that holds a metric raises a ValueError: the filters are not exhaustive.",
    "lessons/filters.md#a-leaf-that-no-filter-matches",
)
def a_metric_needs_a_filter() -> None:
    raises(lambda: nnx.split(Observed(), nnx.Param), ValueError, "Non-exhaustive filters, got a non-empty remainder")


@claim(
    "a-metric-has-a-type-of-its-own",
    "The Variables of an `nnx.metrics.Average` have the type `nnx.metrics.MetricState`, which a filter selects.",
    TYPES,
)
def a_metric_has_a_type_of_its_own() -> None:
    kind: Any = works(lambda: nnx.metrics.MetricState)
    expect(names(nnx.state(Observed(), kind)), ["loss.count", "loss.total"])


@claim(
    "multi-metric-drops-a-keyword",
    "An update of `nnx.MultiMetric` with a keyword that no metric knows drops it in silence.",
    SEE,
)
def multi_metric_drops_a_keyword() -> None:
    make: Any = nnx.MultiMetric
    metrics = make(loss=average())
    works(lambda: metrics.update(loss=jnp.array([1.0, 3.0]), acuracy=jnp.array([9.0])))
    expect({name: float(value) for name, value in metrics.compute().items()}, {"loss": 2.0})


@claim(
    "an-average-asks-for-its-keyword",
    "An update of `nnx.metrics.Average` without its keyword raises a TypeError that names it.",
    SEE,
)
def an_average_asks_for_its_keyword() -> None:
    raises(lambda: average().update(lsos=jnp.ones(2)), TypeError, "Expected keyword argument 'loss'")


@claim(
    "accuracy-wants-integer-labels",
    "`nnx.metrics.Accuracy` refuses labels that are no int32 with a ValueError.",
    SEE,
)
def accuracy_wants_integer_labels() -> None:
    metric = nnx.metrics.Accuracy()
    logits = jnp.ones((2, 3))
    raises(lambda: metric.update(logits=logits, labels=jnp.zeros(2)), ValueError, "labels.dtype==jnp.int32")


@claim(
    "reset-keeps-the-shape",
    "`reset` leaves the shape of a metric that `nnx.vmap` has made for three models.",
    "lessons/vmap-scan.md#see",
    ISSUE,
)
def reset_keeps_the_shape() -> None:
    make: Any = nnx.vmap(lambda start: average(), in_axes=0, out_axes=0)
    metric = works(lambda: make(jnp.arange(3)))
    write(metric.total, jnp.ones(3))
    expect(numbers(nnx.state(metric))["total"], [1.0, 1.0, 1.0])
    metric.reset()
    expect(numbers(nnx.state(metric)), {"count": [0, 0, 0], "total": [0.0, 0.0, 0.0]})


@claim(
    "sow-may-do-nothing",
    "`sow` with `capture_noop=True` stores nothing outside of `nnx.capture`, and stores inside of it.",
    "lessons/own-types.md#calls-that-raise-or-warn",
)
def sow_may_do_nothing() -> None:
    need_keyword(nnx.Module.sow, "capture_noop")
    model: Any = Sowing()
    expect(model(jnp.ones(2)).tolist(), [2.0, 2.0])
    expect(names(model), [])
    captured: Any = nnx.capture(model, nnx.Intermediate)
    _, stored = captured(jnp.ones(2))
    expect(names(stored), ["seen"])
