import optax
from flax import nnx


@nnx.jit(static_argnums=2)
def train_step(model, optimizer, loss_fn, *batch):
    wanted = nnx.DiffState(0, optimizer.wrt)
    loss, grads = nnx.value_and_grad(loss_fn, argnums=wanted)(model, *batch)
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
            labels[path] = len(groups)
    tx = optax.partition(dict(enumerate([*groups.values(), optax.set_to_zero()])), nnx.from_flat_state(labels))
    return nnx.Optimizer(model, tx, wrt=nnx.Param)
