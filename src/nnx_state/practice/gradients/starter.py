from flax import nnx


def chosen_grads(model, loss_fn, chosen, *batch):
    raise NotImplementedError


def critic_grads(generator, critic, loss_fn, *batch):
    raise NotImplementedError
