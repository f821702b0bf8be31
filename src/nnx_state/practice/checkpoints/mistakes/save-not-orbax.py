import pickle
from pathlib import Path

import jax
import numpy as np
from flax import nnx


def save(path, step, model, optimizer):
    _, state = nnx.split((model, optimizer))
    arrays = [nnx.as_pure(leaf) for leaf in jax.tree.leaves(state)]
    arrays = [jax.random.key_data(a) if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key) else a for a in arrays]
    Path(path).write_bytes(pickle.dumps((step, [np.asarray(array) for array in arrays])))


def resume(path, build):
    pair = nnx.eval_shape(build)
    _, state = nnx.split(pair)
    leaves, structure = jax.tree.flatten(state)
    step, arrays = pickle.loads(Path(path).read_bytes())
    arrays = [
        jax.random.wrap_key_data(a) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else jax.numpy.asarray(a)
        for leaf, a in zip(leaves, arrays, strict=True)
    ]
    nnx.update(pair, jax.tree.unflatten(structure, arrays))
    return *pair, step
