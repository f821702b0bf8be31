import jax
import jax.numpy as jnp
from flax import nnx

V = nnx.Variable


class EmaWeight(V): ...


def track(model):
    return jax.tree.map(
        lambda param: EmaWeight(jnp.copy(param[...])),
        nnx.state(model, nnx.Param),
        is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
    )


def update(averages, model, decay):
    params = nnx.as_pure(nnx.state(model, nnx.Param))

    def move(average, param):
        return average + (1 - decay) * (param - average)

    moved = jax.tree.map(move, nnx.as_pure(averages), params)
    nnx.update(averages, moved)


def averaged(model, averages):
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    copy = nnx.merge(graphdef, params, rest, copy=True)
    nnx.update(copy, averages)
    return copy
