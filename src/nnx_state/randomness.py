"""A layer that draws random numbers, a count of what each stream of a model has drawn, and new keys for all of them."""

import math
import operator
import zlib
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state import _checks
from nnx_state._paths import leaves

__all__ = ["Noise", "draws", "reseed"]


class Noise(nnx.Module):
    """A noise layer adds normal random numbers to its input while it trains, and nothing in eval mode.

    It makes steep outputs costly: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization" (1995).

    `rngs` is a stream of the layer's own, a fork of the stream `noise` (or else `default`) of the `rngs` given.
    `deterministic` is False at first; `train()`, `eval()` and `nnx.view` of the layer or of a module around it set it.

    Args:
        scale: The standard deviation of the noise, in the unit of the input; finite and not negative.
        rngs: The source of the stream, such as `nnx.Rngs(0)`.

    Raises:
        AttributeError: If `rngs` has neither a stream `noise` nor a stream `default`.
        TypeError: If the scale is not a number.
        ValueError: If the scale is negative, infinite or NaN.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import Noise

    layer, stream = Noise(0.5, rngs=nnx.Rngs(0)), nnx.Rngs(0).noise.fork()
    x = jnp.arange(4.0)
    print((layer(x) == x + 0.5 * stream.normal(x.shape)).all())
    view = nnx.view(layer, deterministic=True)
    print(view(x), layer.deterministic)
    layer.eval()
    print(layer(x))
    ```

    ```{.text .output}
    True
    [0. 1. 2. 3.] False
    [0. 1. 2. 3.]
    ```
    """

    def __init__(self, scale: float, *, rngs: nnx.Rngs) -> None:
        accepted = "scale must be a finite number that is not negative"
        if not isinstance(scale, (int, float)):
            raise TypeError(f"{accepted}, got {scale!r} of type {type(scale).__name__}: pass a number such as 0.1.")
        if not 0 <= scale < math.inf:  # NaN fails this too
            raise ValueError(f"{accepted}, got {scale}: pass a number such as 0.1.")
        self.scale = float(scale)  # a NumPy float would turn a bfloat16 input into float32
        self.deterministic = False
        self.rngs = rngs.noise.fork()

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return `x + scale * noise` in training and `x` itself in eval mode, of the shape and dtype of `x`.

        Every call in training advances the stream by one.
        """
        if self.deterministic:
            return x
        noise: jax.Array = self.rngs.normal(x.shape, x.dtype)
        return x + self.scale * noise

    def set_view(self, deterministic: bool | None = None) -> None:
        """Set the flag of a view; a layer without this method is passed over by `nnx.view`."""
        if deterministic is not None:
            self.deterministic = deterministic


def draws(model: Any) -> dict[str, int]:
    """Count the keys that each random stream of a model has handed out.

    A training step with dropout or noise must raise these counts: where they stay, the same numbers come again.

    Args:
        model: A module, an `nnx.Rngs`, or a State of one, such as a snapshot.

    Returns:
        The count of each stream by its path, in the order of the state; a stream under two paths has one entry.
            A stream that was split into many keys counts the draws of all.

    Raises:
        TypeError: If the counts are traced or abstract.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import Noise, draws

    rngs = nnx.Rngs(0)
    model = Noise(0.1, rngs=rngs)
    model(jnp.ones(4))
    model(jnp.ones(4))
    print(draws(rngs), draws(model))
    ```

    ```{.text .output}
    {'default': 1} {'rngs': 2}
    ```
    """
    counts = {}
    for path, variable in leaves(nnx.state(model, nnx.RngCount)):
        count = variable.get_value()
        if not isinstance(count, jax.Array) or isinstance(count, jax.core.Tracer):
            raise TypeError(
                f"draws must read counts with values, got {type(count).__name__} at {path}: "
                "call it outside of jit, on a model that is not abstract."
            )
        counts[path.removesuffix(".count")] = int(count.sum())
    return counts


def reseed(model: Any, key: int | jax.Array) -> None:
    """Give every random stream of a model a new key, and start its count at zero.

    The new key is `jax.random.fold_in(key, crc32(path))`: it depends on `key` and on the path of the stream alone.
    So a layer draws the same numbers whatever stands beside it; Linen hashed the path for the same reason.

    With `jax.random.fold_in(key, step)` the numbers depend on the step, not on the draws before it.
    This works under `jax.jit` too, where counts do not come back, and under `jax.vmap` with one key an example.

    Args:
        model: A module, an `nnx.Rngs`, or a State of one; its streams are changed in place.
        key: A seed from 0 to `2**32 - 1`, or one key of `jax.random.key`, which may be traced.
            A stream that was split into many keys gets as many new ones.

    Raises:
        TypeError: If `key` is neither an integer nor one key.
        ValueError: If a seed is out of range, or the model has no random stream.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import draws, reseed

    one = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    two = nnx.clone(one)
    x = jnp.ones(16)
    print((one(x) == two(x)).all(), draws(two))
    reseed(two, 1)
    print(draws(two), (one(x) == two(x)).all())
    four = nnx.Rngs(0).split(4)
    reseed(four, 1)
    print(four.default.key.shape)
    ```

    ```{.text .output}
    True {'rngs': 1}
    {'rngs': 0} False
    (4,)
    ```
    """
    key = _one_key(key)
    streams = list(leaves(nnx.state(model, nnx.RngKey)))
    if not streams:
        raise ValueError(
            f"model must have a random stream, got {type(model).__name__} without one: "
            "pass a model with a layer such as nnx.Dropout(0.5, rngs=nnx.Rngs(0))."
        )
    for path, variable in streams:
        fresh = jax.random.fold_in(key, zlib.crc32(path.encode()))
        variable.set_value(jax.random.split(fresh, variable.shape) if variable.shape else fresh)
    for _, count in leaves(nnx.state(model, nnx.RngCount)):
        count.set_value(jnp.zeros_like(count[...]))


def _one_key(key: Any) -> jax.Array:
    """Return a key as it is, and the key of a seed."""
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
        return key
    accepted = f"key must be an int from 0 to {_checks.LARGEST_SEED} or one key"
    try:
        seed = operator.index(key)
    except TypeError as error:  # a traced number ends here too
        given = jax.typeof(key) if isinstance(key, jax.Array) else repr(key)
        raise TypeError(
            f"{accepted}, got {given}: pass a seed such as 0; a step goes into a key by jax.random.fold_in(key, step)."
        ) from error
    if not 0 <= seed <= _checks.LARGEST_SEED:
        raise ValueError(f"{accepted}, got {seed}: choose one in this range.")
    return jax.random.key(seed)
