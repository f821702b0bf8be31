from typing import NamedTuple

import jax
import numpy as np
from flax import nnx


class Exactly(NamedTuple):
    kind: type

    def __call__(self, path, leaf):
        return type(leaf) is self.kind


class Attribute(NamedTuple):
    name: str | int

    def __call__(self, path, leaf):
        return path[-1:] == (self.name,)


def sizes(model, **filters):
    _, *groups = nnx.split(model, *filters.values())
    leaves = map(jax.tree.leaves, groups)
    counts = (sum(np.prod(array.shape, dtype=int) for array in arrays) for arrays in leaves)
    return dict(zip(filters, counts, strict=True))
