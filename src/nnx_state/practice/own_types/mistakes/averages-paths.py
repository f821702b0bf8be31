import jax
import jax.numpy as jnp
from flax import nnx


class EmaWeight(nnx.Variable): ...


def track(model):
    params = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return nnx.State({".".join(map(str, path)): EmaWeight(jnp.copy(param[...])) for path, param in params})


def update(averages, model, decay):
    params = dict(nnx.to_flat_state(nnx.state(model, nnx.Param)))
    for path, average in nnx.to_flat_state(averages):
        average[...] += (1 - decay) * (params[path] - average)


def averaged(model, averages):
    copy = nnx.clone(model)
    nnx.update(copy, nnx.as_pure(averages))
    return copy
