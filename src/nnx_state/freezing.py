"""A layer that is trained by a small adapter while its kernel stays frozen, and the way back to one kernel."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state import _checks
from nnx_state._specs import described
from nnx_state.linear import scaled_normal

__all__ = ["LoRALinear", "merge_lora"]


class LoRALinear(nnx.Module):
    """A LoRALinear adds a low-rank adapter to a linear layer: `base(x) + alpha / rank * x @ lora_a @ lora_b`.

    This is LoRA, low-rank adaptation: Hu and others, "LoRA: Low-Rank Adaptation of Large Language Models" (2021),
    section 4.1, which draws `lora_a` from a normal distribution and starts `lora_b` at zero.
    The layer then begins as the base does.
    The scale of the normal numbers is that of [`scaled_normal`][nnx_state.linear.scaled_normal].

    The base keeps its Params, so freeze it by a filter: `wrt=nnx.LoRAParam` trains the adapter alone.
    The adapter is kept and computed in JAX's default float type, and added in the dtype of the base's output.

    Attributes:
        base: The layer that was given, not a copy.
        lora_a: An `nnx.LoRAParam` of shape `(in_features, rank)`, float32, or float64 where `jax_enable_x64` is on.
        lora_b: An `nnx.LoRAParam` of shape `(rank, out_features)` and the same dtype, zero at first.
        scale: The float `alpha / rank`, which is static: it is not saved with the state.

    Args:
        base: A layer that computes `x @ kernel`, with or without a bias, such as an `nnx.Linear`.
            Its kernel has the shape `(in_features, out_features)`.
        rank: The number of columns of `lora_a`, at least 1.
        alpha: A number above 0; by default the rank, so that the scale is 1.
            The paper sets it to the first rank that it tries, and does not tune it.
        rngs: The source of the key for `lora_a`, from the stream `params`.

    Raises:
        TypeError: If the base has no kernel of two dimensions, or the rank or alpha is not a number.
        ValueError: If the rank or alpha is out of range.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import LoRALinear, sizes

    base = nnx.Linear(100, 50, rngs=nnx.Rngs(0))
    layer = LoRALinear(base, rank=2, rngs=nnx.Rngs(1))
    print(sizes(layer, adapter=nnx.LoRAParam, base=...), layer.scale)
    assert (layer(jnp.ones(100)) == base(jnp.ones(100))).all()
    ```

    ```{.text .output}
    {'adapter': 300, 'base': 5050} 1.0
    ```

    A layer of a model is wrapped by an assignment, and all of them by `nnx.recursive_map`.

    ```{.python .fresh}
    from flax import nnx

    from nnx_state import LoRALinear, paths

    rngs = nnx.Rngs(0)


    def wrap(path, node):
        if isinstance(node, nnx.Linear):
            return LoRALinear(node, rank=1, rngs=rngs)
        return node


    layers = nnx.Linear(4, 4, rngs=rngs), nnx.relu, nnx.Linear(4, 2, rngs=rngs)
    model = nnx.recursive_map(wrap, nnx.Sequential(*layers))
    print(paths(model, nnx.LoRAParam))
    ```

    ```{.text .output}
    ['layers.0.lora_a', 'layers.0.lora_b', 'layers.2.lora_a', 'layers.2.lora_b']
    ```
    """

    def __init__(
        self, base: Callable[..., jax.Array], rank: int, *, alpha: float | None = None, rngs: nnx.Rngs
    ) -> None:
        kernel = getattr(base, "kernel", None)
        if not isinstance(kernel, nnx.Variable) or getattr(kernel, "ndim", None) != 2:
            given = f"a kernel that is {described(kernel)}" if isinstance(kernel, nnx.Variable) else "no such kernel"
            raise TypeError(
                "base must be a layer with a Variable `kernel` of two dimensions, "
                f"got a {type(base).__name__} with {given}: pass one such as nnx.Linear(4, 2, rngs=nnx.Rngs(0))."
            )
        in_features, out_features = kernel.shape
        rank = _checks.size("rank", rank)
        self.scale = _positive("alpha", rank if alpha is None else alpha) / rank
        self.base = base
        self.lora_a = nnx.LoRAParam(scaled_normal(rngs.params(), in_features, rank))
        self.lora_b = nnx.LoRAParam(jnp.zeros((rank, out_features)))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the output of the base plus that of the adapter: `(..., in_features)` becomes `(..., out_features)`.

        The dtype is that of the base's output.
        """
        y = self.base(x)
        low = jnp.asarray(x, self.lora_a.dtype) @ self.lora_a  # (x @ A) @ B never makes a matrix as large as the kernel
        return y + jnp.asarray(self.scale * (low @ self.lora_b), y.dtype)


def merge_lora(model: nnx.Module) -> Any:
    """Return a copy of a model in which each LoRALinear is its base again, with the adapter added to the kernel.

    A kernel becomes `kernel + alpha / rank * lora_a @ lora_b`, in its own dtype.
    The outputs stay, up to rounding: about `1e-6` of their size in float32, `1e-2` in bfloat16.
    The model is not changed, and the copy has new Variables; what has no adapter shares its memory, as in `nnx.clone`.

    Args:
        model: A module with a LoRALinear in it, or a LoRALinear.

    Returns:
        A module of the class of the model; for a LoRALinear, one of the class of its base.

    Raises:
        ValueError: If there is no LoRALinear in the model.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import LoRALinear, merge_lora, paths

    base = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    layer = LoRALinear(base, rank=1, alpha=2.0, rngs=nnx.Rngs(1))
    layer.lora_b[...] += 1.0
    merged = merge_lora(layer)
    print(type(merged).__name__, paths(merged))
    assert jnp.allclose(merged(jnp.ones(4)), layer(jnp.ones(4)), rtol=1e-5)
    ```

    ```{.text .output}
    Linear ['bias', 'kernel']
    ```
    """
    if not any(isinstance(node, LoRALinear) for _, node in nnx.iter_modules(model)):
        raise ValueError(
            f"model must hold a LoRALinear of nnx_state, got none in a {type(model).__name__}: "
            "merge the model that was trained; one that is merged holds none, and nnx.LoRALinear is another class."
        )
    return nnx.recursive_map(_merged, nnx.clone(model))


def _merged(path: tuple[Any, ...], node: Any) -> Any:
    """Return the base of a LoRALinear with the merged kernel, and any other node as it is."""
    if not isinstance(node, LoRALinear):
        return node
    base: Any = nnx.clone(node.base)  # another layer may hold the base too, with another adapter or none
    kernel = base.kernel[...]
    low_rank = node.scale * (node.lora_a @ node.lora_b)
    base.kernel[...] = (jnp.asarray(kernel, low_rank.dtype) + low_rank).astype(kernel.dtype)
    return base


def _positive(name: str, value: object) -> float:
    """Return a number that may scale an adapter: at 0 no gradient would reach it."""
    accepted = f"{name} must be a number above 0"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{accepted}, got {value!r} of type {type(value).__name__}: pass a number such as 8.0.")
    if not 0 < value < math.inf:
        raise ValueError(f"{accepted}, got {value}: pass a number such as 8.0.")
    return value
