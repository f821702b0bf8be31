import jax
import jax.numpy as jnp
from flax import nnx


class EmaWeight(nnx.Variable): ...


def track(model):
    params = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return nnx.from_flat_state([(path, EmaWeight(jnp.array(param))) for path, param in params])


def update(averages, model, decay):
    params = nnx.to_flat_state(nnx.state(model, nnx.Param))
    for (_, average), (_, param) in zip(nnx.to_flat_state(averages), params, strict=True):
        average.set_value(average + (1 - decay) * (param - average))


def averaged(model, averages):
    copy = nnx.clone(model)
    params = dict(nnx.to_flat_state(nnx.state(copy, nnx.Param)))
    for path, average in nnx.to_flat_state(averages):
        params[path][...] = average[...]
    return copy
