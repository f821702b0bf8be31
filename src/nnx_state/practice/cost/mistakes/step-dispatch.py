import jax
import jax.numpy as jnp
from flax import nnx


def compile_step(model, optimizer, loss_fn):
    graphdef, state = nnx.split((model, optimizer))

    @nnx.jit
    def train(model, optimizer, *batch):
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return loss

    def step(arrays, *batch):
        pair = nnx.merge(graphdef, arrays)
        loss = train(*pair, *batch)
        new = nnx.as_pure(nnx.state(pair))
        jax.tree.map(lambda old: old.delete(), arrays)
        return new, loss

    return step, jax.tree.map(jnp.copy, nnx.as_pure(state))


def write_back(model, optimizer, arrays):
    nnx.update((model, optimizer), jax.tree.map(jnp.copy, arrays))
