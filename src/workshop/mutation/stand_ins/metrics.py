"""Metrics: what they compute, and what they ask for."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
from flax import nnx

from workshop.mutation.stand_ins.registry import instead, stand_in

AVERAGE = nnx.metrics.Average


@stand_in("an-average-of-nothing-is-nan")
def nothing_averages_to_zero() -> Iterator[None]:
    """An average of nothing is zero."""
    compute = AVERAGE.compute
    with instead(AVERAGE, compute=lambda self: jnp.nan_to_num(compute(self))):
        yield


@stand_in("an-average-goes-on", "an-average-weighs-each-value")
def averages_start_again() -> Iterator[None]:
    """Each update of an average forgets those before."""
    update = AVERAGE.update

    def alone(self: Any, **values: Any) -> None:
        self.reset()
        update(self, **values)

    with instead(AVERAGE, update=alone):
        yield


@stand_in("multi-metric-drops-a-keyword")
def unknown_keywords_raise() -> Iterator[None]:
    """An update of `nnx.MultiMetric` refuses a keyword that no metric knows."""
    update = nnx.MultiMetric.update

    def strict(self: Any, **values: Any) -> None:
        known = {metric.argname for metric in vars(self).values() if isinstance(metric, AVERAGE)}
        if unknown := values.keys() - known:
            raise TypeError(f"no metric knows {unknown}")
        update(self, **values)

    with instead(nnx.MultiMetric, update=strict):
        yield
