import optax
from flax import nnx


def kernel_decay(model, rate, decay):
    params = nnx.to_flat_state(nnx.state(model, nnx.Param))
    mask = {path: path[-1] == "kernel" for path, _ in params}
    adamw = optax.inject_hyperparams(optax.adamw)
    tx = adamw(rate, weight_decay=decay, mask=nnx.from_flat_state(mask))
    return nnx.Optimizer(model, tx, wrt=nnx.Param)


def set_rate(optimizer, rate):
    optimizer.opt_state.hyperparams["learning_rate"][...] = rate


def carry_over(old, new):
    known = dict(nnx.to_flat_state(nnx.state(old)))
    for path, leaf in nnx.to_flat_state(nnx.state(new)):
        if path in known and known[path].shape == leaf.shape:
            leaf.set_value(known[path].get_value())
