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
    parts = []
    for chosen, rule in groups.items():
        matches = nnx.filterlib.to_predicate(chosen)
        pairs = nnx.to_flat_state(nnx.state(model, nnx.Param))
        mask = nnx.from_flat_state({path: matches(path, param) for path, param in pairs})
        parts.append(optax.masked(rule, mask))
    tx = optax.chain(*parts)
    return nnx.Optimizer(model, tx, wrt=nnx.Param)
