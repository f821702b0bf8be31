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


@nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
def scan(carry, layer):
    x, calls = carry
    x = jnp.tanh(x @ layer.kernel + layer.bias)
    calls.set_value(calls[...] + 1)
    return x, calls


class Deep(nnx.Module):
    def __init__(self, features, depth, *, rngs):
        self.layers = ensemble(lambda rngs: nnx.Linear(features, features, rngs=rngs), size=depth, rngs=rngs)
        self.calls = nnx.Variable(jnp.array(0, jnp.int32))

    def __call__(self, x):
        y, _calls = scan((x, self.calls), self.layers)
        return y
