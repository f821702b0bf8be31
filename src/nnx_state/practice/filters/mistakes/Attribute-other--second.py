import dataclasses

import jax
from flax import nnx


@dataclasses.dataclass(frozen=True)
class Exactly:
    kind: type

    def __call__(self, path, leaf):
        return type(leaf) is self.kind


@dataclasses.dataclass(frozen=True)
class Attribute:
    name: str | int

    def __call__(self, path, leaf):
        return path[1:] == (self.name,)


def sizes(model, **filters):
    _, *groups = nnx.split(model, *filters.values())
    leaves = map(jax.tree.leaves, groups)
    counts = (sum(array.size for array in arrays) for arrays in leaves)
    return dict(zip(filters, counts, strict=True))
