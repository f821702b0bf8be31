import jax
import jax.numpy as jnp
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


@jax.jit(static_argnums=2)
def step(model, optimizer, loss_fn):
    wanted = nnx.DiffState(0, nnx.LoRAParam)
    grads = nnx.grad(loss_fn, argnums=wanted)(model)
    optimizer.update(model, grads)


def fine_tune(model, tx, loss_fn, steps):
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.LoRAParam)
    for _ in range(steps):
        step(model, optimizer, loss_fn)


def merged(adapter):
    linear = nnx.clone(adapter.base)
    linear.kernel[...] += adapter.scale * (adapter.a @ adapter.b)
    return linear
