import jax.numpy as jnp
from flax import nnx


class Recurrent(nnx.Module):
    def __init__(self, cell, batch, *, rngs):
        self.cell = cell
        shape = (batch, cell.in_features)
        self.carry = nnx.Variable(cell.initialize_carry(shape, rngs))

    def __call__(self, x):
        carry, outputs = self.carry[...], []
        for step in range(x.shape[1]):
            carry, y = self.cell(carry, x[:, step])
            outputs.append(y)
        self.carry[...] = carry
        return jnp.stack(outputs, axis=1)

    def reset(self):
        self.carry[...] = jnp.zeros_like(self.carry[...])


def written(model, call):
    copy = nnx.clone(model)
    call(copy)
    before = dict(nnx.to_flat_state(nnx.state(model)))
    after = dict(nnx.to_flat_state(nnx.state(copy)))
    changed = set()
    for path in before:
        if not jnp.array_equal(before[path][...], after[path][...]):
            changed.add(".".join(map(str, path)))
    return sorted(changed)
