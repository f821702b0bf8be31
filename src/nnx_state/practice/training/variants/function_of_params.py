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
        numbers = [n for n, wanted in enumerate(groups) if nnx.filterlib.to_predicate(wanted)(path, param)]
        labels[path] = min(numbers, default=None)
        if not numbers:
            raise ValueError(f"no group matches {path}: end with `...`.")
    tree = nnx.from_flat_state(labels)
    tx = optax.multi_transform(dict(enumerate(groups.values())), lambda params: tree)
    return nnx.Optimizer(model, tx, wrt=nnx.Param)
