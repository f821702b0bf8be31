from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import nnx

Low = nnx.LoRAParam


class Adapter(nnx.Module):
    def __init__(self, base, rank, alpha, rngs):
        self.base, self.alpha, self.rank = base, alpha, rank
        init = nnx.initializers.he_uniform()
        self.a = Low(init(rngs.lora(), (base.in_features, rank)))
        self.b = Low(jnp.zeros((rank, base.out_features)))

    def __call__(self, x):
        low = jnp.einsum("bi,ir,ro->bo", x, self.a[...], self.b[...])
        return self.base(x) + self.alpha * low / self.rank


def fine_tune(model, tx, loss_fn, steps):
    graphdef, low, rest = nnx.split(model, Low, ...)
    low, rest = nnx.as_pure(low), nnx.as_pure(rest)
    opt_state = tx.init(low)

    def loss(low, rest):
        merged = nnx.merge(graphdef, low, rest)
        value = loss_fn(merged)
        return value, nnx.as_pure(nnx.state(merged, nnx.Not(Low)))

    @jax.jit
    def step(low, rest, opt_state):
        grads, rest = jax.grad(loss, has_aux=True)(low, rest)
        updates, opt_state = tx.update(grads, opt_state, low)
        return optax.apply_updates(low, updates), rest, opt_state

    for _ in range(steps):
        low, rest, opt_state = step(low, rest, opt_state)
    nnx.update(model, nnx.merge_state(low, rest))


def merged(adapter):
    ins, outs = adapter.base.kernel.shape
    linear = nnx.Linear(ins, outs, rngs=nnx.Rngs(0))
    zero = adapter(jnp.zeros((1, ins)))
    linear.kernel = nnx.Param(adapter(jnp.eye(ins)) - zero)
    linear.bias = nnx.Param(zero[0])
    return linear
