"""How the audit grows with a model: abstract models, from 2,500 Variables to 10,000 with 5e8 numbers.

    python noxfile.py bench -- -k audit

Each is audited three times, and the median is taken. Linear growth doubles the seconds with the Variables.
"""

import resource
import statistics
import time

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.audit import audit


class Block(nnx.Module):
    def __init__(self):
        self.kernel = nnx.Param(jax.ShapeDtypeStruct((1000, 100), jnp.float32))
        self.bias = nnx.Param(jax.ShapeDtypeStruct((100,), jnp.float32))


class Blocks(nnx.Module):
    def __init__(self, count):
        self.blocks = nnx.List([Block() for _ in range(count)])


def seconds(model):
    begin = time.perf_counter()
    assert audit(model).findings == []
    return time.perf_counter() - begin


def test_cost_of_an_audit(capsys):
    with capsys.disabled():
        print("\n\nVariables   seconds   peak of the process")
        for count in (1250, 2500, 5000):
            model = Blocks(count)
            taken = statistics.median(seconds(model) for _ in range(3))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{2 * count:9,} {taken:9.2f} {peak:10.0f} MB")
