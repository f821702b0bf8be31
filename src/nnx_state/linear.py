"""The bias-less linear layer: one Param, the kernel."""

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state import _checks

__all__ = ["Linear"]


def scaled_normal(key: jax.Array, in_features: int, out_features: int) -> jax.Array:
    """Return a random kernel whose outputs keep the variance of its inputs.

    Each entry is a standard normal number times `1 / sqrt(in_features)`.
    The scale is that of LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), section 4.6.
    The default of `nnx.Linear`, `lecun_normal`, has this scale too, but draws from a truncated normal.

    Args:
        key: A key of `jax.random`.
        in_features: The length of an input, at least 1.
        out_features: The length of an output, at least 1.

    Returns:
        An array of shape `(in_features, out_features)`.
            It is float32, or float64 where `jax_enable_x64` is on.

    Raises:
        TypeError: If a size is not an int.
        ValueError: If a size is not from 1 to `2**31 - 1`.

    ```python
    import jax

    from nnx_state.linear import scaled_normal

    kernel = scaled_normal(jax.random.key(0), 400, 100)
    print(kernel.shape, f"{kernel.std():.2f}")
    ```

    ```{.text .output}
    (400, 100) 0.05
    ```
    """
    shape = (_checks.size("in_features", in_features), _checks.size("out_features", out_features))
    return jax.random.normal(key, shape) * (1.0 / jnp.sqrt(in_features))


class Linear(nnx.Module):
    """A linear layer without bias computes `x @ kernel`.

    Its `kernel` is a Param of shape `(in_features, out_features)`.
    The values come from [`scaled_normal`][nnx_state.linear.scaled_normal] with the key `rngs.params()`.

    Args:
        in_features: The length of an input, at least 1.
        out_features: The length of an output, at least 1.
        rngs: The source of the kernel's key, such as `nnx.Rngs(0)`.

    Raises:
        TypeError: If a size is not an int.
        ValueError: If a size is not from 1 to `2**31 - 1`.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import Linear

    layer = Linear(4, 2, rngs=nnx.Rngs(0))
    print(list(nnx.state(layer, nnx.Param)), layer(jnp.ones(4)).shape)
    ```

    ```{.text .output}
    ['kernel'] (2,)
    ```
    """

    def __init__(self, in_features: int, out_features: int, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(scaled_normal(rngs.params(), in_features, out_features))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return `x @ kernel`: the shape `(..., in_features)` becomes `(..., out_features)`.

        The dtype follows JAX's promotion of `x` with the kernel.
        """
        return x @ self.kernel
