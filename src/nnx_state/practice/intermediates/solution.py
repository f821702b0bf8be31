import jax.numpy as jnp
from flax import nnx


def record(model, x):
    nnx.pop(model, nnx.Intermediate)
    return nnx.capture(model, nnx.Intermediate)(x)


class RootMeanSquare(nnx.metrics.Metric):
    def __init__(self):
        self.total = nnx.metrics.MetricState(jnp.zeros(()))
        self.count = nnx.metrics.MetricState(jnp.zeros((), jnp.int32))

    def reset(self):
        self.total[...] = jnp.zeros(())
        self.count[...] = jnp.zeros((), jnp.int32)

    def update(self, values):
        self.total[...] += (values**2).sum()
        self.count[...] += values.size

    def compute(self):
        return jnp.sqrt(self.total[...] / self.count[...])


def unmeasured(model):
    measured = nnx.Any(nnx.metrics.MetricState, nnx.Intermediate)
    return nnx.state(model, nnx.Not(measured))
