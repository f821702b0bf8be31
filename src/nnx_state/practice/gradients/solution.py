from flax import nnx


def chosen_grads(model, loss_fn, chosen, *batch):
    if not nnx.state(model, chosen):
        raise ValueError(f"{chosen!r} matches no leaf of the model.")
    wanted = nnx.DiffState(0, chosen)
    return nnx.value_and_grad(loss_fn, argnums=wanted)(model, *batch)


def critic_grads(generator, critic, loss_fn, *batch):
    wanted = nnx.DiffState(1, nnx.Param)
    return nnx.grad(loss_fn, argnums=wanted)(generator, critic, *batch)
