import optax
from flax import nnx


def train_step(model, optimizer, loss_fn, *batch):
    raise NotImplementedError


def grouped_optimizer(model, groups):
    raise NotImplementedError
