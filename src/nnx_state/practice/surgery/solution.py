import jax.numpy as jnp
from flax import nnx


def renamed(state, names):
    leaves = {}
    for path, leaf in nnx.to_flat_state(state):
        first = names.get(path[0], path[0])
        if first is not None:
            leaves[first, *path[1:]] = leaf
    return nnx.from_flat_state(leaves)


def load_fitting(model, state):
    given = dict(nnx.to_flat_state(state))
    left_out = []
    for path, leaf in nnx.to_flat_state(nnx.state(model)):
        if path in given and given[path].shape == leaf.shape:
            leaf.set_value(given[path].get_value())
        else:
            left_out.append(".".join(map(str, path)))
    return left_out


def write_torch(layer, weights):
    def kernel(name):
        return jnp.moveaxis(weights[name], (0, 1), (-1, -2))

    if isinstance(layer, nnx.OptimizedLSTMCell):
        layer.dense_i.kernel[...] = kernel("weight_ih")
        layer.dense_h.kernel[...] = kernel("weight_hh")
        layer.dense_h.bias[...] = weights["bias_ih"] + weights["bias_hh"]
    else:
        layer.kernel[...] = kernel("weight")
        layer.bias[...] = weights["bias"]
