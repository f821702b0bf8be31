import jax
import orbax.checkpoint as ocp
from flax import nnx


def manager_of(folder):
    options = ocp.CheckpointManagerOptions(max_to_keep=2)
    return ocp.CheckpointManager(folder, options=options)


def save(folder, step, model):
    args = ocp.args.StandardSave(nnx.state(model))
    with manager_of(folder) as manager:
        manager.save(step, args=args)


def begin(folder, build, mesh):
    with jax.set_mesh(mesh), manager_of(folder) as manager:
        step = manager.latest_step()
        if step is None:
            return nnx.jit(build)(), 0
        structure, target = nnx.get_abstract_model(build, mesh)
        args = ocp.args.StandardRestore(target)
        state = manager.restore(step, args=args)
    return nnx.merge(structure, state), step
