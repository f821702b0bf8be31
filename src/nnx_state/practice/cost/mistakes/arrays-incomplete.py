from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx


def compile_step(model, optimizer, loss_fn):
    graphdef, _, rest = nnx.split((model, optimizer), nnx.Param, ...)

    @partial(jax.jit, donate_argnums=0)
    def step(params, *batch):
        model, optimizer = nnx.merge(graphdef, params, rest)
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return nnx.as_pure(nnx.state(model, nnx.Param)), loss

    return step, jax.tree.map(jnp.copy, nnx.as_pure(nnx.state(model, nnx.Param)))


def write_back(model, optimizer, arrays):
    nnx.update(model, jax.tree.map(jnp.copy, arrays))
