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
        return path[-1:] == (self.name,)


def sizes(model, **filters):
    groups = nnx.split(model, *filters.values())[1:]
    counts = {}
    for name, group in zip(filters, groups, strict=True):
        flat = nnx.to_flat_state(group)
        counts[name] = sum(v[...].size for _, v in flat if isinstance(v, nnx.Variable))
    return counts
