import optax
from flax import nnx


@nnx.jit(static_argnums=2)
def train_step(model, optimizer, loss_fn, *batch):
    wanted = nnx.DiffState(0, optimizer.wrt)
    loss, grads = nnx.value_and_grad(loss_fn, argnums=wanted)(model, *batch)
    optimizer.update(model, grads)
    return loss


def grouped_optimizer(model, groups):
    raise NotImplementedError
