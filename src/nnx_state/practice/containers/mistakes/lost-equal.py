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
    state = [leaf for _, leaf in nnx.to_flat_state(nnx.state(model))]

    def known(value):
        return any(jnp.array_equal(leaf, value) for leaf in state)

    held = [(path, value) for path, value in nnx.iter_graph(model) if isinstance(value, nnx.Variable)]
    return [path for path, value in held if not known(value)]
