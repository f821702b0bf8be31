import dataclasses

import jax
from flax import nnx


@dataclasses.dataclass(frozen=True)
class Exactly:
    kind: type

    def __call__(self, path, leaf):
        return self.kind is leaf.__class__


@dataclasses.dataclass(frozen=True)
class Attribute:
    name: str | int

    def __call__(self, path, leaf):
        return path[-1:] == (self.name,)


def sizes(model, **filters):
    state = nnx.state(model)
    counts = {}
    for name, one in filters.items():
        group, state = nnx.filter_state(state, one, ...)
        counts[name] = sum(leaf.size for _, leaf in nnx.to_flat_state(group))
    if nnx.to_flat_state(state):
        raise ValueError("there are leaves that no filter matches")
    return counts
