import optax
from flax import nnx


def kernel_decay(model, rate, decay):
    raise NotImplementedError


def set_rate(optimizer, rate):
    raise NotImplementedError


def carry_over(old, new):
    raise NotImplementedError
