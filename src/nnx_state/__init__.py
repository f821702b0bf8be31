"""The State of NNX: what happens to a value in a Flax NNX module, and the code that the lessons teach."""

from nnx_state.linear import Linear
from nnx_state.multi_param import MultiParam, multi_param_forward

__all__ = ["Linear", "MultiParam", "multi_param_forward"]
