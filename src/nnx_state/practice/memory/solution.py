import jax
from flax import nnx


def size(state):
    leaves = jax.tree.leaves(state)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def budget(build, tx):
    def both():
        model = build()
        return model, nnx.Optimizer(model, tx, wrt=nnx.Param)

    model, optimizer = nnx.eval_shape(both)
    params = size(nnx.state(model, nnx.Param))
    return {
        "Params": params,
        "rest": size(nnx.state(model)) - params,
        "gradients": params,
        "optimizer": size(nnx.state(optimizer)),
    }


def forward(layers, x):
    call = nnx.remat(lambda layer, x: layer(x))
    for layer in layers:
        x = call(layer, x)
    return x
