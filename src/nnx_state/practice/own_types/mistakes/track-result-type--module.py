import jax
import jax.numpy as jnp
from flax import nnx


class EmaWeight(nnx.Variable): ...


def track(model):
    averages = jax.tree.map(
        lambda param: EmaWeight(jnp.copy(param[...])),
        nnx.state(model, nnx.Param),
        is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
    )
    copy = nnx.clone(model)
    nnx.update(copy, averages)
    return copy


def update(averages, model, decay):
    params = dict(nnx.to_flat_state(nnx.state(model, nnx.Param)))
    for path, average in nnx.to_flat_state(averages):
        average[...] += (1 - decay) * (params[path] - average)


def averaged(model, averages):
    copy = nnx.clone(model)
    nnx.update(copy, nnx.as_pure(averages))
    return copy
