import optax
from flax import nnx


@nnx.jit(static_argnums=2)
def train_step(model, optimizer, loss_fn, *batch):
    wanted = nnx.DiffState(0, optimizer.wrt)
    loss, grads = nnx.value_and_grad(loss_fn, argnums=wanted)(model, *batch)
    optimizer.update(model, grads)
    return loss


def grouped_optimizer(model, groups):
    for path, param in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        if not any(nnx.filterlib.to_predicate(chosen)(path, param) for chosen in groups):
            raise ValueError(f"no group matches {path}")
    filters = list(groups)
    parts = []
    for number, chosen in enumerate(filters):
        first = nnx.filterlib.to_predicate(nnx.All(chosen, nnx.Not(nnx.Any(*filters[:number]))))
        pairs = nnx.to_flat_state(nnx.state(model, nnx.Param))
        mask = nnx.from_flat_state({path: first(path, param) for path, param in pairs})
        parts.append(optax.masked(groups[chosen], mask))
    tx = optax.chain(*parts)
    return nnx.Optimizer(model, tx, wrt=nnx.Param)
