import dataclasses

import jax
from flax import nnx


@dataclasses.dataclass(frozen=True)
class Exactly:
    kind: type

    def __call__(self, path, leaf):
        return type(leaf) is self.kind


class Attribute:
    def __init__(self, name):
        self.name = name

    def __call__(self, path, leaf):
        return path[-1:] == (self.name,)

    def __eq__(self, other):
        return self.name == other.name

    def __hash__(self):
        return hash(self.name)


def sizes(model, **filters):
    _, *groups = nnx.split(model, *filters.values())
    leaves = map(jax.tree.leaves, groups)
    counts = (sum(array.size for array in arrays) for arrays in leaves)
    return dict(zip(filters, counts, strict=True))
