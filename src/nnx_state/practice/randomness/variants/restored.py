import jax
import jax.numpy as jnp
from flax import nnx


class Dropout(nnx.Module):
    def __init__(self, rate, *, rngs):
        self.rate = rate
        self.deterministic = False
        self.rngs = rngs.dropout.fork()

    def set_view(self, deterministic=None):
        if deterministic is not None:
            self.deterministic = deterministic

    def __call__(self, x):
        if self.deterministic:
            return x
        kept = self.rngs.bernoulli(1 - self.rate, x.shape)
        return jnp.where(kept, x / (1 - self.rate), 0)


@nnx.jit
def call(model, x):
    return model(x)


def per_example(model, batch):
    backups = nnx.split_rngs(model, splits=len(batch))
    axes = nnx.StateAxes({nnx.RngState: 0, ...: None})
    rows = nnx.vmap(lambda model, row: model(row), in_axes=(axes, 0))(model, batch)
    nnx.restore_rngs(backups)
    return rows


def save(model):
    graphdef, state = nnx.split(model)
    return nnx.state(nnx.merge(graphdef, state, copy=True))
