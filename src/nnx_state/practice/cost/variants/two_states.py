from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx


def compile_step(model, optimizer, loss_fn):
    graphdef, model_state = nnx.split(model)
    optimizer_graphdef, optimizer_state = nnx.split(optimizer)

    def one(arrays, *batch):
        model = nnx.merge(graphdef, arrays["model"])
        optimizer = nnx.merge(optimizer_graphdef, arrays["optimizer"])
        loss, grads = nnx.value_and_grad(lambda model: loss_fn(model, *batch))(model)
        optimizer.update(model, grads)
        arrays = {"model": nnx.state(model), "optimizer": nnx.state(optimizer)}
        return nnx.as_pure(arrays), loss

    states = nnx.as_pure({"model": model_state, "optimizer": optimizer_state})
    return jax.jit(one, donate_argnames="arrays"), jax.tree.map(lambda array: array.copy(), states)


def write_back(model, optimizer, arrays):
    copies = jax.tree.map(lambda array: array.copy(), arrays)
    nnx.update(model, copies["model"])
    nnx.update(optimizer, copies["optimizer"])
