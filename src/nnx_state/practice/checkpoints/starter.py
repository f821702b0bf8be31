import orbax.checkpoint as ocp
from flax import nnx


def save(path, step, model, optimizer):
    raise NotImplementedError


def resume(path, build):
    raise NotImplementedError
