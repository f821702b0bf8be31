from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import nnx


def compile_step(model, optimizer, loss_fn):
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    tx = optimizer.tx

    def loss_of(params, rest, batch):
        model = nnx.merge(graphdef, params, rest)
        loss = loss_fn(model, *batch)
        return loss, nnx.as_pure(nnx.state(model, nnx.Not(nnx.Param)))

    opt_state = nnx.as_pure(optimizer.opt_state)
    arrays = nnx.as_pure(params), nnx.as_pure(rest), {"opt_state": opt_state, "step": optimizer.step[...]}
    leaves, structure = jax.tree.flatten(arrays)

    @partial(jax.jit, donate_argnums=0)
    def step(leaves, *batch):
        params, rest, optimizer_state = jax.tree.unflatten(structure, leaves)
        (loss, rest), grads = jax.value_and_grad(loss_of, has_aux=True)(params, rest, batch)
        updates, opt_state = tx.update(grads, optimizer_state["opt_state"], params)
        optimizer_state = {"opt_state": opt_state, "step": optimizer_state["step"] + 1}
        return jax.tree.leaves((optax.apply_updates(params, updates), rest, optimizer_state)), loss

    return step, [jnp.copy(leaf) for leaf in leaves]


def write_back(model, optimizer, arrays):
    states = *nnx.state(model, nnx.Param, ...), nnx.state(optimizer)
    structure = jax.tree.structure(nnx.as_pure(states))
    params, rest, optimizer_state = jax.tree.unflatten(structure, [jnp.copy(array) for array in arrays])
    nnx.update(model, params, rest)
    nnx.update(optimizer, optimizer_state)
