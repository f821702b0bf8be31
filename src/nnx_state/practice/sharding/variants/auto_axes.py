def train(mesh):
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax
    from flax import nnx

    class Calls(nnx.Variable): ...

    class TwoLayers(nnx.Module):
        def __init__(self):
            keys = jax.random.key(0), jax.random.key(1)
            self.up = nnx.Param(jax.random.normal(keys[0], (4, 8)), out_sharding=jax.P(None, "model"))
            self.down = nnx.Param(jax.random.normal(keys[1], (8, 4)), out_sharding=jax.P("model"))
            self.count = Calls(jnp.int32(0))

        def __call__(self, x):
            self.count.set_value(self.count[...] + 1)
            y = jnp.maximum(x @ self.up[...], 0) @ self.down[...]
            return jax.lax.with_sharding_constraint(y, jax.P("data"))

    @nnx.jit
    def step(model, optimizer, x):
        loss, grads = nnx.value_and_grad(lambda model: jnp.square(model(x)).mean())(model)
        optimizer.update(model, grads)
        return loss

    devices = np.array(jax.devices()[: mesh[0] * mesh[1]]).reshape(mesh)
    with jax.set_mesh(jax.sharding.Mesh(devices, ("data", "model"))):
        model = TwoLayers()
        optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
        batch = jax.device_put(jax.random.normal(jax.random.key(2), (8, 4)), jax.P("data"))
        _, loss = step(model, optimizer, batch), step(model, optimizer, batch)

    def block(array):
        return array.sharding.shard_shape(array.shape)

    mu = optimizer.opt_state[0].mu["down"]
    return int(model.count[...]), float(loss), block(model.up[...]), block(mu[...]), block(batch)
