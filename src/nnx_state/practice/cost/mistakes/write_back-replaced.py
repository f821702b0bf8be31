from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx


def compile_step(model, optimizer, loss_fn):
    graphdef, state = nnx.split((model, optimizer))

    @partial(jax.jit, donate_argnums=0)
    def step(arrays, *batch):
        model, optimizer = nnx.merge(graphdef, arrays)
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return nnx.as_pure(nnx.state((model, optimizer))), loss

    return step, jax.tree.map(jnp.copy, nnx.as_pure(state))


def write_back(model, optimizer, arrays):
    copies = jax.tree.map(jnp.copy, arrays)
    new_model, new_optimizer = nnx.merge(nnx.graphdef((model, optimizer)), copies)
    vars(model).update(vars(new_model))
    vars(optimizer).update(vars(new_optimizer))
