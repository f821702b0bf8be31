from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx


def compile_step(model, optimizer, loss_fn):
    trained = nnx.Any(nnx.Param, nnx.OptState)
    graphdef, state, rest = nnx.split((model, optimizer), trained, ...)

    @partial(jax.jit, donate_argnums=0)
    def step(arrays, *batch):
        model, optimizer = nnx.merge(graphdef, arrays, rest)
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return nnx.as_pure(nnx.state((model, optimizer), trained)), loss

    return step, jax.tree.map(jnp.copy, nnx.as_pure(state))


def write_back(model, optimizer, arrays):
    nnx.update((model, optimizer), jax.tree.map(jnp.copy, arrays))
