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
    params = dict(nnx.to_flat_state(nnx.state(model)))
    for path, average in nnx.to_flat_state(averages):
        average[...] = average[...] + (params[path][...] - average[...]) * (1 - decay)


def averaged(model, averages):
    import copy

    evaluated = copy.deepcopy(model)
    nnx.update(evaluated, averages)
    return evaluated
