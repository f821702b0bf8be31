import numpy as np
from flax import nnx

from nnx_state import MultiParam, TraceCounter


def bits(param):
    return np.asarray(param[...]).tobytes()


def unchanged(before, model):
    old, new = nnx.state(before, nnx.Param), nnx.state(model, nnx.Param)
    return sorted(k for k in new if bits(old[k]) == bits(new[k]))


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
