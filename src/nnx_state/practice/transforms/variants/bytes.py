import copy

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state import MultiParam


def unchanged(before, model):
    old, new = nnx.state(before, nnx.Param), nnx.state(model, nnx.Param)
    equal = jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), jax.device_get(old), jax.device_get(new))
    return sorted(name for name in new if equal[name].get_value())


class TraceCounter:
    def __init__(self, function):
        self.function = function
        self.traces = 0

    def __call__(self, *args, **kwargs):
        try:
            return self.function(*args, **kwargs)
        finally:
            self.traces += 1


def train_twice(jit):
    def step(model):
        model.bias[...] += 1.0

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    before = copy.deepcopy(model)
    counter = TraceCounter(step)
    compiled = jit(counter)
    for _ in range(2):
        compiled(model)
    return unchanged(before, model), counter.traces
