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
    state = dict(nnx.to_flat_state(nnx.state(model)))
    held = [path for path, value in nnx.iter_graph(model) if isinstance(value, nnx.Variable)]
    found = [path for path in held if path not in state]
    for index, layer in enumerate(model.layers if hasattr(model, "layers") else []):
        if isinstance(layer, nnx.Module):
            found += [("layers", index, name) for name in nnx.state(layer)]
    return list(dict.fromkeys(found))
