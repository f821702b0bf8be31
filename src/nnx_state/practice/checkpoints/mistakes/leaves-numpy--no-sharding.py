import orbax.checkpoint as ocp
from flax import nnx


def save(path, step, model, optimizer):
    _, state = nnx.split((model, optimizer))
    ocp.PyTreeCheckpointer().save(path, {"run": state, "at": step})


def resume(path, build):
    graphdef, state = nnx.split(nnx.eval_shape(build))
    target = {"run": state, "at": 0}
    arguments = ocp.checkpoint_utils.construct_restore_args(target)
    saved = ocp.PyTreeCheckpointer().restore(path, item=target, restore_args=arguments)
    model, optimizer = nnx.merge(graphdef, saved["run"])
    return model, optimizer, int(saved["at"])
