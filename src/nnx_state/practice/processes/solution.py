import jax
from flax import nnx
from jax.experimental import multihost_utils


def batch_of(mesh, rows):
    place = jax.NamedSharding(mesh, jax.P("data"))
    return jax.make_array_from_process_local_data(place, rows)


def whole(model):
    params = nnx.as_pure(nnx.state(model, nnx.Param))
    return multihost_utils.process_allgather(params, tiled=True)


def report(step, losses):
    mean = float(losses.mean())
    if jax.process_index() == 0:
        print(f"step {step}: loss {mean:.4f}")
    return mean
