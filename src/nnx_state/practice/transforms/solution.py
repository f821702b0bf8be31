import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state import MultiParam


def bits(param):
    array = np.asarray(param[...])
    return array.shape, array.dtype, array.tobytes()


def unchanged(before, model):
    old, new = nnx.state(before, nnx.Param), nnx.state(model, nnx.Param)
    return sorted(k for k in new if bits(old[k]) == bits(new[k]))


class TraceCounter:
    def __init__(self, function):
        self.function = function
        self.traces = 0

    def __call__(self, *args, **kwargs):
        self.traces += 1
        return self.function(*args, **kwargs)


def train_twice(jit):
    def step(model):
        model.bias[...] += 1.0

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    before = nnx.clone(model)
    counter = TraceCounter(step)
    compiled = jit(counter)
    for _ in range(2):
        compiled(model)
    return unchanged(before, model), counter.traces
