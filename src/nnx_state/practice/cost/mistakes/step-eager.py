import jax
import jax.numpy as jnp
from flax import nnx


def compile_step(model, optimizer, loss_fn):
    graphdef, state = nnx.split((model, optimizer))

    def step(arrays, *batch):
        model, optimizer = nnx.merge(graphdef, arrays)
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return nnx.as_pure(nnx.state((model, optimizer))), loss

    return step, jax.tree.map(jnp.copy, nnx.as_pure(state))


def write_back(model, optimizer, arrays):
    nnx.update((model, optimizer), jax.tree.map(jnp.copy, arrays))
