def train(mesh):
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    class Model(nnx.Module):
        def __init__(self):
            def param(seed, shape, place):
                return nnx.Param(jax.random.normal(jax.random.key(seed), shape), out_sharding=place)

            self.up, self.down = param(0, (4, 8), (None, "model")), param(1, (8, 4), ("model", None))
            self.count = nnx.Variable(jnp.zeros((), jnp.int32))

        def __call__(self, x):
            self.count[...] += 1
            return jnp.matmul(jax.nn.relu(x @ self.up), self.down, out_sharding=jax.P("data"))

    @nnx.jit
    def two_steps(model, optimizer, x):
        losses = []
        for _ in range(2):
            loss, grads = nnx.value_and_grad(lambda model: jnp.mean(model(x) ** 2))(model)
            optimizer.update(model, grads)
            losses.append(loss)
        return losses

    def run():
        with jax.set_mesh(jax.make_mesh(mesh, ("data", "model"))):
            model = Model()
            optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
            x = jax.random.normal(jax.random.key(2), (8, 4), out_sharding=jax.P("data"))
            return model, optimizer, x, two_steps(model, optimizer, x)

    model, optimizer, x, losses = run()
    arrays = [model.up[...], optimizer.opt_state[0].mu.down[...], x]
    up, mu, batch = (array.sharding.shard_shape(array.shape) for array in arrays)
    return model.count[...].item(), losses[1].item(), up, mu, batch
