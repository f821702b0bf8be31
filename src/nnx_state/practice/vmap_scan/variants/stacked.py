import jax
import jax.numpy as jnp
from flax import nnx


def ensemble(make, size, rngs):
    models = [make(rngs) for _ in range(size)]
    states = [nnx.state(model) for model in models]
    return nnx.merge(nnx.graphdef(models[0]), jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))


def predict(models, x):
    each = nnx.vmap(lambda model, x: model(x), in_axes=(0, None))
    outputs = each(models, x)
    return outputs.mean(axis=0), outputs.std(axis=0)
