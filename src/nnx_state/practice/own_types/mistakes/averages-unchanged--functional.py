import jax
import jax.numpy as jnp
from flax import nnx


class EmaWeight(nnx.Variable): ...


def track(model):
    return jax.tree.map(
        lambda param: EmaWeight(jnp.copy(param[...])),
        nnx.state(model, nnx.Param),
        is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
    )


def update(averages, model, decay):
    params = nnx.state(model, nnx.Param)
    return jax.tree.map(
        lambda average, param: EmaWeight(average + (1 - decay) * (param - average)),
        averages,
        params,
        is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
    )


def averaged(model, averages):
    copy = nnx.clone(model)
    nnx.update(copy, nnx.as_pure(averages))
    return copy
