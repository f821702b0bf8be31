import jax
import jax.numpy as jnp
from flax import nnx


def outline(model):
    found = {}
    for path, module in nnx.iter_modules(model):
        params = nnx.state(module, nnx.Param)
        found[dotted(path)] = sum(leaf.size for leaf in jax.tree.leaves(params))
    return found


def moved(before, model):
    old = dict(nnx.to_flat_state(before))
    found = {}
    for path, leaf in nnx.to_flat_state(nnx.state(model)):
        distance = float(jnp.linalg.norm(leaf[...] - old[path][...]))
        if distance != 0:
            found[dotted(path)] = distance
    return found


def not_finite(state):
    found = []
    for path, leaf in nnx.to_flat_state(state):
        if not jnp.isfinite(leaf[...]).all():
            found.append(dotted(path))
    return found


def dotted(path):
    return ".".join(map(str, path))
