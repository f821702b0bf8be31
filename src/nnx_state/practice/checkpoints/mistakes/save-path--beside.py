import orbax.checkpoint as ocp
from flax import nnx


def whole_state(step, model, optimizer):
    model, optimizer = nnx.state(model), nnx.state(optimizer)
    return {"step": step, "model": model, "optimizer": optimizer}


def save(path, step, model, optimizer):
    with ocp.StandardCheckpointer() as orbax:
        orbax.save(path, {"step": step, "model": nnx.state(model)})
        orbax.save(f"{path}_optimizer", nnx.state(optimizer))


def resume(path, build):
    model, optimizer = nnx.eval_shape(build)
    pattern = whole_state(0, model, optimizer)
    with ocp.StandardCheckpointer() as orbax:
        saved = orbax.restore(path, {"step": 0, "model": pattern["model"]})
        saved["optimizer"] = orbax.restore(f"{path}_optimizer", pattern["optimizer"])
    nnx.update(model, saved["model"])
    nnx.update(optimizer, saved["optimizer"])
    return model, optimizer, saved["step"]
