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
    state = dict(nnx.to_flat_state(nnx.state(model, nnx.Param)))
    everything = dict(nnx.to_flat_state(nnx.state(model)))
    return [path for path in everything if isinstance(everything[path], nnx.Variable) and path not in state]
