import jax.numpy as jnp
from flax import nnx


def snapshot(model, filter):
    _, kept, _ = nnx.split(model, filter, ...)
    copies = {path: leaf.replace(jnp.array(leaf.get_value())) for path, leaf in nnx.to_flat_state(kept)}
    return nnx.from_flat_state(copies)


def restore(model, saved):
    """Write a snapshot into a model."""
    own = dict(nnx.to_flat_state(nnx.state(model)))
    writes = []
    for path, leaf in nnx.to_flat_state(saved):
        target = own.get(path)
        if target is None or jnp.shape(target[...]) != jnp.shape(leaf[...]):
            raise ValueError(f"{'.'.join(map(str, path))} does not fit")
        writes.append((target, leaf))
    for target, leaf in writes:
        target.set_value(jnp.copy(leaf[...]))
