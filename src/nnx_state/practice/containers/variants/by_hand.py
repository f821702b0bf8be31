import jax.numpy as jnp
import numpy as np
from flax import nnx


class Tower(nnx.Module):
    def __init__(self):
        self.layers = nnx.List()
        self.last = nnx.data(None)
        self.scale = nnx.data(np.ones(2, np.float32))

    def add(self, layer):
        self.layers.append(layer)

    def __call__(self, x):
        for place, layer in enumerate(self.layers):
            x = layer(nnx.relu(x) if place else x)
        self.last = x * self.scale
        return self.last


def lost(model):
    known = {id(leaf) for _, leaf in nnx.to_flat_state(nnx.state(model))}
    found = []

    def visit(path, value):
        if isinstance(value, nnx.Variable):
            if id(value) not in known:
                found.append(path)
        elif isinstance(value, dict):
            for key, part in value.items():
                visit((*path, key), part)
        elif isinstance(value, list | tuple | nnx.List):
            for key, part in enumerate(value):
                visit((*path, key), part)
        elif isinstance(value, nnx.Module):
            for key, part in vars(value).items():
                visit((*path, key), part)

    visit((), model)
    return found
