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
    return {name: len(jax.tree.leaves(nnx.state(model, one))) for name, one in filters.items()}
