"""A linear layer that carries more than weights: two Params and one Variable."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike

from nnx_state import _checks
from nnx_state.linear import scaled_normal

__all__ = ["MultiParam", "multi_param_forward"]


class MultiParam(nnx.Module):
    """A linear layer with a kernel, a bias and a counter computes `x @ kernel + bias`.

    `kernel` is a Param of shape `(in_features, out_features)`, drawn as in [`Linear`][nnx_state.Linear].
    `bias` is a Param of zeros of shape `(out_features,)`.
    `count` is a Variable that holds the scalar 0.0; the forward pass leaves it alone.

    Args:
        in_features: The length of an input, at least 1.
        out_features: The length of an output, at least 1.
        rngs: The source of the kernel's key, such as `nnx.Rngs(0)`.

    Raises:
        TypeError: If a size is not an int.
        ValueError: If a size is not from 1 to `2**31 - 1`.

    ```python
    from flax import nnx

    from nnx_state import MultiParam

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    print("trained:", list(nnx.state(model, nnx.Param)))
    print("carried:", list(nnx.state(model, nnx.Not(nnx.Param))))
    ```

    ```{.text .output}
    trained: ['bias', 'kernel']
    carried: ['count']
    ```
    """

    def __init__(self, in_features: int, out_features: int, rngs: nnx.Rngs) -> None:
        self.kernel = nnx.Param(scaled_normal(rngs.params(), in_features, out_features))
        self.bias = nnx.Param(jnp.zeros((out_features,)))
        self.count = nnx.Variable(jnp.array(0.0))  # not a Param: an optimizer passes it by

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return `x @ kernel + bias`: the shape `(..., in_features)` becomes `(..., out_features)`.

        The dtype follows JAX's promotion of `x` with the kernel.
        """
        return x @ self.kernel + self.bias


def multi_param_forward(seed: float, x: ArrayLike | Sequence[float], features: float) -> jax.Array:
    """Build a MultiParam from a seed and return its output for one example.

    While the bias is zero, the output equals that of [`Linear`][nnx_state.Linear] with the same seed.
    The function also runs under `jax.jit`, `nnx.jit` and `jax.vmap` with `x` traced.
    There `seed` and `features` must be static.

    Every `x` is first converted to JAX's default float type.
    That is float32, or float64 where `jax_enable_x64` is on.
    So float16, bfloat16, float64 and all integers are welcome, as JAX arrays, NumPy arrays or lists.
    An integer beyond `2**24` is rounded as float32 rounds it.
    Booleans and complex numbers are refused: convert them on purpose.

    Args:
        seed: A whole number from 0 to `2**32 - 1`, as an int or a float.
            A key keeps only 32 bits, so that `2**32` would silently repeat the numbers of 0.
        x: The example, real numbers of shape `(in_features,)`, at least one.
        features: The length of the output, a whole number from 1 to `2**31 - 1`, as an int or a float.

    Returns:
        The output, of shape `(features,)` and JAX's default float type, whatever the type of `x`.

    Raises:
        TypeError: If an argument is neither a number nor an array of real numbers, or `seed` or `features` is traced.
        ValueError: If `seed` or `features` is not whole or out of range, or `x` is empty or not 1-D.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import Linear, multi_param_forward

    x = jnp.array([1.0, 2.0, 3.0, 4.0])
    y = multi_param_forward(0.0, x, 2.0)
    print(y.shape, y.dtype)
    assert (y == Linear(4, 2, rngs=nnx.Rngs(0))(x)).all()
    ```

    ```{.text .output}
    (2,) float32
    ```
    """
    seed = _checks.whole_number("seed", seed, 0, _checks.LARGEST_SEED)
    features = _checks.whole_number("features", features, 1, _checks.LARGEST_SIZE)
    x = _checks.vector("x", x)
    model = MultiParam(x.shape[-1], features, rngs=nnx.Rngs(seed))
    return model(x)
