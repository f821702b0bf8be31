from flax import nnx

import nnx_state


class MultiParam(nnx_state.MultiParam): ...


def multi_param_forward(seed, x, features):
    rngs = nnx.Rngs(int(seed))
    model = MultiParam(x.shape[-1], int(features), rngs=rngs)
    return model(x)
