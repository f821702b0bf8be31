def train(mesh):
    import jax
    import jax.numpy as jnp
    import optax

    def forward(params, x):
        hidden = jax.nn.relu(x @ params["up"])
        return jnp.matmul(hidden, params["down"], out_sharding=jax.P("data"))

    tx = optax.adam(0.1)

    @jax.jit
    def step(params, opt_state, x):
        loss, grads = jax.value_and_grad(lambda params: jnp.mean(forward(params, x) ** 2))(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    with jax.set_mesh(jax.make_mesh(mesh, ("data", "model"))):
        up = jax.random.normal(jax.random.key(0), (4, 8))
        down = jax.random.normal(jax.random.key(1), (8, 4))
        up, down = jax.device_put(up, jax.P(None, "model")), jax.device_put(down, jax.P("model", None))
        params = {"up": up, "down": down}
        opt_state = tx.init(params)
        x = jax.device_put(jax.random.normal(jax.random.key(2), (8, 4)), jax.P("data"))
        for _ in range(2):
            params, opt_state, loss = step(params, opt_state, x)
    arrays = params["up"], opt_state[0].mu["down"], x
    return 2, float(loss), *(array.sharding.shard_shape(array.shape) for array in arrays)
