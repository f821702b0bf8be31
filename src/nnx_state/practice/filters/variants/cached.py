import functools

import jax
from flax import nnx


@functools.cache
def exactly(kind):
    return lambda path, leaf: type(leaf) is kind


@functools.cache
def attribute(name):
    return lambda path, leaf: path[-1] == name


Exactly, Attribute = exactly, attribute


def sizes(model, **filters):
    _, *groups = nnx.split(model, *filters.values())
    leaves = map(jax.tree.leaves, groups)
    counts = (sum(array.size for array in arrays) for arrays in leaves)
    return dict(zip(filters, counts, strict=True))
