import orbax.checkpoint as ocp
from flax import nnx

last = {}


def save(path, step, model, optimizer):
    last.update(step=step, model=nnx.state(model), optimizer=nnx.state(optimizer))
    with ocp.StandardCheckpointer() as orbax:
        orbax.save(path, last)


def resume(path, build):
    model, optimizer = nnx.eval_shape(build)
    nnx.update(model, last["model"])
    nnx.update(optimizer, last["optimizer"])
    return model, optimizer, last["step"]
