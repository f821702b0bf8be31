import flax.linen as nn
import jax.numpy as jnp


class MultiParam(nn.Module):
    features: int

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        self.variable("counters", "count", lambda: jnp.array(0.0))
        return x @ kernel + bias


def multi_param_forward(seed, x, features):
    import jax

    model = MultiParam(int(features))
    return model.apply(model.init(jax.random.key(int(seed)), x), x)
