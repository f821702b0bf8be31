"""A layer that normalises with the statistics of the batch and keeps their running averages in BatchStats."""

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state import _checks

__all__ = ["RunningNorm"]


class RunningNorm(nnx.Module):
    """A RunningNorm shifts and scales each feature to mean 0 and variance 1, then to a learned bias and scale.

    In training it takes mean and variance of the batch, and moves the running averages towards them:
    `average = momentum * average + (1 - momentum) * batch`.
    In evaluation it takes the running averages and leaves them alone.
    The output is `(x - mean) / sqrt(var + epsilon) * scale + bias` (Ioffe and Szegedy, 2015, algorithms 1 and 2).

    It computes what `nnx.BatchNorm` does, with the same defaults, and stores the biased variance as that does:
    the sum of squares is divided by `n`.
    The paper and PyTorch divide by `n - 1` in the running average.
    The variance is the mean of `(x - mean) ** 2`, as with `use_fast_variance=False`:
    the default there, `mean(x ** 2) - mean ** 2`, loses its digits where the mean is large.

    Attributes:
        scale: A Param of shape `(features,)`, ones at first.
        bias: A Param of shape `(features,)`, zeros at first.
        mean: A BatchStat of shape `(features,)`, zeros at first.
        var: A BatchStat of shape `(features,)`, ones at first.
        use_running_average: The flag that `train()`, `eval()` and `nnx.view` set; `False` at first.

    Args:
        features: The length of the last axis of the input, at least 1.
        momentum: The share of an average that one call keeps, from 0 on and below 1; PyTorch's is one minus this.
        epsilon: A float above 0, added to the variance, in the squared unit of the input.
        axis_name: The axis of a `vmap` that belongs to the batch too.

    Raises:
        TypeError: If `features` is not an int.
        ValueError: If `features`, `momentum` or `epsilon` is out of range.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import RunningNorm

    norm = RunningNorm(1, momentum=0.75)
    x = jnp.array([[1.0], [3.0]])  # mean 2, variance 1
    print(norm(x)[:, 0].round(3), norm.mean[...], norm.var[...])
    view = nnx.view(norm, use_running_average=True)
    print(view(x)[:, 0].round(3), norm.mean[...], norm.use_running_average)
    ```

    ```{.text .output}
    [-1.  1.] [0.5] [1.]
    [0.5 2.5] [0.5] False
    ```

    With `nnx.StateAxes` each of several batches has averages of its own, while the Params are shared:

    ```{.python .fresh}
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import RunningNorm

    norm = RunningNorm(1, momentum=0.75)
    norm.mean.set_value(jnp.zeros((2, 1)))
    norm.var.set_value(jnp.ones((2, 1)))
    axes = nnx.StateAxes({nnx.BatchStat: 0, ...: None})
    each = nnx.vmap(lambda norm, x: norm(x), in_axes=(axes, 0))
    y = each(norm, jnp.array([[[1.0], [3.0]], [[5.0], [7.0]]]))
    print(y.shape, norm.mean[:, 0])
    ```

    ```{.text .output}
    (2, 2, 1) [0.5 1.5]
    ```
    """

    def __init__(
        self, features: int, momentum: float = 0.99, *, epsilon: float = 1e-5, axis_name: str | None = None
    ) -> None:
        features = _checks.size("features", features)
        if not 0 <= momentum < 1:  # NaN fails this too
            raise ValueError(
                f"momentum must be from 0 on and below 1, got {momentum}: it is the share kept, 0.9 for PyTorch's 0.1."
            )
        if not epsilon > 0:
            raise ValueError(f"epsilon must be above 0, got {epsilon}: pass a number such as 1e-5.")
        self.scale = nnx.Param(jnp.ones(features))
        self.bias = nnx.Param(jnp.zeros(features))
        self.mean = nnx.BatchStat(jnp.zeros(features))
        self.var = nnx.BatchStat(jnp.ones(features))
        self.momentum = momentum
        self.epsilon = epsilon
        self.axis_name = axis_name
        self.use_running_average = False  # train() and eval() look for this name

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise a batch, and in training move the running averages.

        Args:
            x: An array of real numbers of shape `(..., features)`; all axes but the last belong to the batch.

        Returns:
            An array of the shape of `x`, in the dtype of the running averages, which is float32 by default.

        Raises:
            NameError: If `axis_name` is set and the layer trains outside of a `vmap` that names this axis.
            TypeError: If `x` holds complex numbers.
            ValueError: If the last axis of `x` has another length, or a batch to train on has fewer than two examples.
        """
        features = self.mean.shape[0]
        if x.shape[-1:] != (features,):
            raise ValueError(f"x must have shape (..., {features}), got {x.shape}: the features are the last axis.")
        if jnp.iscomplexobj(x):
            raise TypeError(f"x must hold real numbers, got dtype {x.dtype}: pass x.real or x.imag.")
        x = jnp.asarray(x, self.mean.dtype)
        axes = tuple(range(x.ndim - 1))  # those of the batch
        if self.use_running_average:
            mean, var = self.mean[...], self.var[...]
        else:
            mean, var = self._batch_statistics(x, axes)
            self.mean[...] = self.momentum * self.mean[...] + (1 - self.momentum) * mean
            self.var[...] = self.momentum * self.var[...] + (1 - self.momentum) * var
        factor = self.scale[...] * jax.lax.rsqrt(var + self.epsilon)
        mean, factor, bias = (jnp.expand_dims(v, axes) for v in (mean, factor, self.bias[...]))
        return (x - mean) * factor + bias

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Set the flag of a view; a layer without this method is passed over by `nnx.view`."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def _batch_statistics(self, x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
        """Return mean and biased variance of each feature, over the mapped axis too."""
        name = self.axis_name
        examples = x.size // x.shape[-1] * (1 if name is None else jax.lax.axis_size(name))
        if examples < 2:  # the variance would be 0, and the output the bias
            raise ValueError(
                f"a batch to train on must have two examples at least, got one of shape {x.shape}: pass a whole "
                "batch, name the axis of a vmap with axis_name, or call eval() first."
            )

        def batch_mean(values: jax.Array) -> jax.Array:
            own = values.mean(axes)
            return own if name is None else jax.lax.pmean(own, name)  # type: ignore[no-untyped-call]  # as JAX has it

        mean = batch_mean(x)
        return mean, batch_mean((x - jnp.expand_dims(mean, axes)) ** 2)
