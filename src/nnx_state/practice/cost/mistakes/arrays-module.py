from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx


def compile_step(model, optimizer, loss_fn):
    pair = nnx.clone((model, optimizer), arrays=True)

    @partial(jax.jit, donate_argnums=0)
    def step(arrays, *batch):
        model, optimizer = arrays
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return (model, optimizer), loss

    return step, pair


def write_back(model, optimizer, arrays):
    nnx.update((model, optimizer), jax.tree.map(jnp.copy, arrays))
