from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx


def compile_step(model, optimizer, loss_fn):
    graphdef, state = nnx.split((model, optimizer))
    leaves, structure = jax.tree.flatten(nnx.as_pure(state))

    @partial(jax.jit, donate_argnums=(0,))
    def step(leaves, *batch):
        model, optimizer = nnx.merge(graphdef, jax.tree.unflatten(structure, leaves))
        loss, grads = nnx.value_and_grad(loss_fn)(model, *batch)
        optimizer.update(model, grads)
        return jax.tree.leaves(nnx.as_pure(nnx.state((model, optimizer)))), loss

    return step, [jnp.array(leaf) for leaf in leaves]


def write_back(model, optimizer, arrays):
    structure = jax.tree.structure(nnx.as_pure(nnx.state((model, optimizer))))
    nnx.update((model, optimizer), jax.tree.unflatten(structure, [jnp.array(array) for array in arrays]))
