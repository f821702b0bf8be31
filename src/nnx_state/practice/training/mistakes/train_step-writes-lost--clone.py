import optax
from flax import nnx


@nnx.jit(static_argnums=2)
def train_step(model, optimizer, loss_fn, *batch):
    wanted = nnx.DiffState(0, optimizer.wrt)
    loss, grads = nnx.value_and_grad(loss_fn, argnums=wanted)(nnx.clone(model), *batch)
    optimizer.update(model, grads)
    return loss


def grouped_optimizer(model, groups):
    labels = {}
    for path, param in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        for number, chosen in enumerate(groups):
            if nnx.filterlib.to_predicate(chosen)(path, param):
                labels[path] = number
                break
        else:
            raise ValueError(f"no group matches {path}: end with `...`.")
    tx = optax.partition(dict(enumerate(groups.values())), nnx.from_flat_state(labels))
    return nnx.Optimizer(model, tx, wrt=nnx.Param)
