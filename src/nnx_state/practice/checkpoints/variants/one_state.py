import orbax.checkpoint as ocp
from flax import nnx


def save(path, step, model, optimizer):
    groups = nnx.split(model, nnx.Param, nnx.BatchStat, ...)[1:]
    checkpointer = ocp.Checkpointer(ocp.StandardCheckpointHandler())
    checkpointer.save(path, args=ocp.args.StandardSave([step, *groups, nnx.state(optimizer)]))


def resume(path, build):
    pair = nnx.eval_shape(build)
    _, *groups = nnx.split(pair[0], nnx.Param, nnx.BatchStat, ...)
    pattern = [0, *groups, nnx.state(pair[1])]
    checkpointer = ocp.Checkpointer(ocp.StandardCheckpointHandler())
    step, *groups, optimizer = checkpointer.restore(path, args=ocp.args.StandardRestore(pattern))
    nnx.update(pair[0], *groups)
    nnx.update(pair[1], optimizer)
    return *pair, step
