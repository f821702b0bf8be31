from flax import nnx

from nnx_state import MultiParam


def multi_param_forward(seed, x, features):
    return MultiParam(x.shape[-1], int(features), rngs=nnx.Rngs(int(seed)))(x)
