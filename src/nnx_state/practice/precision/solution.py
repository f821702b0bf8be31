import jax.numpy as jnp
from flax import nnx


class HalfLinear(nnx.Module):
    def __init__(self, inputs, outputs, *, rngs):
        key = rngs.params()
        initializer = nnx.initializers.lecun_normal()
        self.kernel = nnx.Param(initializer(key, (inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.mean = nnx.BatchStat(jnp.zeros(outputs))

    def __call__(self, x):
        kernel, bias = self.kernel[...], self.bias[...]
        kernel, bias, x = (v.astype(jnp.bfloat16) for v in (kernel, bias, x))
        y = x @ kernel + bias
        seen = y.astype(jnp.float32).mean(axis=0)
        self.mean[...] = 0.999 * self.mean[...] + 0.001 * seen
        return y


def cast(model, dtype):
    for _, param in nnx.to_flat_state(nnx.state(model, nnx.Param)):
        if jnp.issubdtype(param.dtype, jnp.floating):
            param.set_value(param[...].astype(dtype))
