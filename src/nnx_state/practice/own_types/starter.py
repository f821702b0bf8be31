import jax
import jax.numpy as jnp
from flax import nnx

# Define EmaWeight here, a class under nnx.Variable.


def track(model):
    raise NotImplementedError


def update(averages, model, decay):
    raise NotImplementedError


def averaged(model, averages):
    raise NotImplementedError
