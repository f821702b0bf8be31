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
    params = jax.tree.leaves(nnx.state(model, nnx.Param))
    for average, param in zip(jax.tree.leaves(averages), params, strict=True):
        average += (1 - decay) * (param - average)


def averaged(model, averages):
    copy = nnx.clone(model)
    nnx.update(copy, nnx.as_pure(averages))
    return copy
