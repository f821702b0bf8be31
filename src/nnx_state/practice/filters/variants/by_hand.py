import dataclasses

import jax
from flax import nnx


class Exactly:
    def __init__(self, kind):
        self.kind = kind

    def __call__(self, path, leaf):
        return type(leaf) is self.kind

    def __eq__(self, other):
        return isinstance(other, Exactly) and self.kind is other.kind

    def __hash__(self):
        return hash((Exactly, self.kind))


@dataclasses.dataclass(frozen=True)
class Attribute:
    name: str | int

    def __call__(self, path, leaf):
        return len(path) > 0 and path[-1] == self.name


def sizes(model, **filters):
    counts = dict.fromkeys(filters, 0)
    for path, leaf in nnx.to_flat_state(nnx.state(model)):
        for name, one in filters.items():
            if nnx.filterlib.to_predicate(one)(path, leaf):
                counts[name] += leaf.size
                break
        else:
            raise ValueError(f"no filter matches {path}")
    return counts
