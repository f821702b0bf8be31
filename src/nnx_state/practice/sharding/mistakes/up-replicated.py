def train(mesh):
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    class Model(nnx.Module):
        def __init__(self):
            up = jax.random.normal(jax.random.key(0), (4, 8))
            down = jax.random.normal(jax.random.key(1), (8, 4))
            self.up = nnx.Param(up)
            self.down = nnx.Param(down, out_sharding=("model", None))
            self.count = nnx.Variable(jnp.zeros((), jnp.int32))

        def __call__(self, x):
            self.count[...] += 1
            hidden = jax.nn.relu(x @ self.up)
            return jnp.matmul(hidden, self.down, out_sharding=jax.P("data"))

    def loss_fn(model, x):
        return jnp.mean(model(x) ** 2)

    @nnx.jit
    def step(model, optimizer, x):
        loss, grads = nnx.value_and_grad(loss_fn)(model, x)
        optimizer.update(model, grads)
        return loss

    with jax.set_mesh(jax.make_mesh(mesh, ("data", "model"))):
        model = Model()
        optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
        x = jax.random.normal(jax.random.key(2), (8, 4))
        x = jax.device_put(x, jax.P("data"))
        for _ in range(2):
            loss = step(model, optimizer, x)
    arrays = model.up[...], optimizer.opt_state[0].mu["down"][...], x
    blocks = [array.sharding.shard_shape(array.shape) for array in arrays]
    return int(model.count[...]), float(loss), *blocks
