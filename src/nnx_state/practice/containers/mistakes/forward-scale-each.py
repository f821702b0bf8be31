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
            x = layer(nnx.relu(x) if place else x) * self.scale
        self.last = x
        return x


def lost(model):
    state = nnx.to_flat_state(nnx.state(model))
    known = {id(leaf) for _, leaf in state}
    return [
        path
        for path, value in nnx.iter_graph(model)  # static lists included
        if isinstance(value, nnx.Variable) and id(value) not in known
    ]
