import orbax.checkpoint as ocp
from flax import nnx


def save(path, step, model, optimizer):
    states = ocp.args.Composite(
        model=ocp.args.StandardSave(nnx.state(model)),
        optimizer=ocp.args.StandardSave(nnx.state(optimizer)),
    )
    with ocp.CheckpointManager(path) as manager:
        manager.save(step, args=states)
        manager.wait_until_finished()


def resume(path, build):
    model, optimizer = nnx.eval_shape(build)
    with ocp.CheckpointManager(path) as manager:
        step = manager.latest_step()
        states = ocp.args.Composite(
            model=ocp.args.StandardRestore(nnx.state(model)),
            optimizer=ocp.args.StandardRestore(nnx.state(optimizer)),
        )
        saved = manager.restore(step, args=states)
    nnx.update(model, saved.model)
    nnx.update(optimizer, saved.optimizer)
    return model, optimizer, step
