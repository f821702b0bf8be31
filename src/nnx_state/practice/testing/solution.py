import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def numbers(layer):
    return jax.tree.map(np.array, nnx.as_pure(nnx.state(layer)))


def assert_counts(make):
    layer, same, other = (make(nnx.Rngs(seed)) for seed in (0, 0, 1))
    before = numbers(layer)
    assert set(before) == {"bias", "count", "kernel"}
    assert set(nnx.state(layer, nnx.Param)) == {"bias", "kernel"}
    assert isinstance(layer.count, nnx.Variable)
    assert jnp.issubdtype(layer.count.dtype, jnp.integer)
    assert layer.count[...] == 0
    assert (layer.kernel[...] == same.kernel[...]).all()
    assert (layer.kernel[...] != other.kernel[...]).any()

    x = jnp.ones((5, 3))
    layer(x)
    assert layer.count[...] == 1
    compiled = nnx.jit(lambda layer, x: layer(x))
    for _ in range(2):
        compiled(layer, x)
    assert layer.count[...] == 3
    assert same.count[...] == 0

    after = numbers(layer)
    assert (after["bias"] == before["bias"]).all()
    assert (after["kernel"] == before["kernel"]).all()
