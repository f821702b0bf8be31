import jax.numpy as jnp
from flax import nnx


class Tower(nnx.Module):
    def __init__(self):
        self.layers = nnx.List()
        self.last = nnx.data(None)
        self.scale = nnx.data(jnp.ones(2))

    def add(self, layer):
        self.layers.append(layer)

    def __call__(self, x):
        for place, layer in enumerate(self.layers):
            x = layer(nnx.relu(x) if place else x)
        self.last = x * self.scale
        return self.last


def lost(model):
    found = []
    for name, value in vars(model).items():
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, nnx.Module):
                    found += [(name, index, *path) for path, _ in nnx.to_flat_state(nnx.state(item))]
    known = {id(leaf) for _, leaf in nnx.to_flat_state(nnx.state(model))}
    return [path for path in found if id(getattr(vars(model)[path[0]][path[1]], path[2])) not in known]
