import jax.numpy as jnp
from flax import nnx


class Tower(nnx.Module):
    def __init__(self):
        self.layers = nnx.data(())
        self.last = nnx.data(None)
        self.scale = nnx.data(jnp.full((2,), 1.0))

    def add(self, layer):
        self.layers = nnx.data((*self.layers, layer))

    def __call__(self, x):
        for place, layer in enumerate(self.layers):
            x = layer(nnx.relu(x) if place else x)
        self.last = x * self.scale
        return self.last


def lost(model):
    known = [id(leaf) for leaf in dict(nnx.to_flat_state(nnx.state(model))).values()]
    found = []
    for path, value in nnx.iter_graph(model):
        if id(value) in known or not isinstance(value, nnx.Variable):
            continue
        found.append(tuple(path))
    return found
