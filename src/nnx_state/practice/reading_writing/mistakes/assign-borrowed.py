from nnx_state import assign
