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
    counts = dict.fromkeys(filters, 0)
    for path, leaf in nnx.to_flat_state(nnx.state(model)):
        for name, one in filters.items():
            if nnx.filterlib.to_predicate(one)(path, leaf):
                counts[name] += leaf.size
                break
    return counts
