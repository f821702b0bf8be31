import jax
import jax.numpy as jnp
import optax
from flax import nnx


class Adapter(nnx.Module):
    def __init__(self, base, rank, alpha, rngs):
        ins, outs = base.kernel.shape
        numbers = jax.random.normal(rngs.params(), (ins, rank)) / ins**0.5
        self.base, self.scale = base, alpha / rank
        self.a = nnx.LoRAParam(numbers)
        self.b = nnx.LoRAParam(jnp.zeros((rank, outs)))

    def __call__(self, x):
        return self.base(x) + self.scale * (x @ self.a @ self.b)


def fine_tune(model, tx, loss_fn, steps):
    graphdef, low, rest = nnx.split(model, nnx.LoRAParam, ...)
    low, rest = nnx.as_pure(low), nnx.as_pure(rest)
    opt_state = tx.init(low)

    @jax.jit
    def step(low, opt_state):
        grads = jax.grad(lambda low: loss_fn(nnx.merge(graphdef, low, rest)))(low)
        updates, opt_state = tx.update(grads, opt_state, low)
        return optax.apply_updates(low, updates), opt_state

    for _ in range(steps):
        low, opt_state = step(low, opt_state)
    nnx.update(model, low)


def merged(adapter):
    linear = nnx.clone(adapter.base)
    linear.kernel[...] += adapter.scale * (adapter.a @ adapter.b)
    return linear
