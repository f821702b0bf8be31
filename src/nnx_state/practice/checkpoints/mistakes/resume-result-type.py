import orbax.checkpoint as ocp
from flax import nnx


def whole_state(step, model, optimizer):
    model, optimizer = nnx.state(model), nnx.state(optimizer)
    return {"step": step, "model": model, "optimizer": optimizer}


def save(path, step, model, optimizer):
    with ocp.StandardCheckpointer() as orbax:
        orbax.save(path, whole_state(step, model, optimizer))


def resume(path, build):
    model, optimizer = nnx.eval_shape(build)
    pattern = whole_state(0, model, optimizer)
    with ocp.StandardCheckpointer() as orbax:
        saved = orbax.restore(path, pattern)
    nnx.update(model, saved["model"])
    nnx.update(optimizer, saved["optimizer"])
    return saved["model"], saved["optimizer"], saved["step"]
