"""One step of training, and an optimizer that treats groups of Params differently."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import optax
from flax import nnx
from flax.nnx import filterlib

from nnx_state._paths import dotted
from nnx_state.gradients import loss_and_grads, matching

__all__ = ["grouped_optimizer", "param_groups", "train_step"]


def train_step(
    model: nnx.Module, optimizer: nnx.Optimizer[Any], loss_fn: Callable[..., jax.Array], *batch: Any
) -> jax.Array:
    """Take one compiled step: gradients of exactly the leaves that the optimizer updates, then the update.

    The filter of the gradient is read from the optimizer, so the two cannot differ.
    What `loss_fn` writes into the model, such as a counter, is kept.
    A new `loss_fn` or a new optimizer compiles anew: make both once, outside the loop.

    Args:
        model: The module to train, changed in place.
        optimizer: An optimizer of this module, changed in place.
        loss_fn: A function of the model and the batch that returns a real scalar.
        *batch: The arrays that follow the model in the call of `loss_fn`.

    Returns:
        The loss before the update, a scalar of the dtype that `loss_fn` returns.

    Raises:
        ValueError: If the optimizer's filter matches nothing in the model.

    ```python
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from nnx_state import MultiParam, train_step


    def loss_fn(model, x):
        return jnp.mean((model(x) - 1.0) ** 2)


    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    losses = [train_step(model, optimizer, loss_fn, jnp.ones(4)) for _ in range(20)]
    print(losses[-1] < 0.01 * losses[0], optimizer.step[...])
    ```

    ```{.text .output}
    True 20
    ```
    """
    return _compiled_step(model, optimizer, loss_fn, *batch)


def _step(
    model: nnx.Module, optimizer: nnx.Optimizer[Any], loss_fn: Callable[..., jax.Array], *batch: Any
) -> jax.Array:
    loss, grads = loss_and_grads(model, loss_fn, *batch, wrt=optimizer.wrt)
    optimizer.update(model, grads)
    return loss


_compiled_step: Callable[..., jax.Array] = nnx.jit(_step, static_argnums=2)


def param_groups(
    model: nnx.Module, filters: Iterable[filterlib.Filter], *, wrt: filterlib.Filter = nnx.Param
) -> list[list[str]]:
    """Tell which trained leaves fall to which filter; a leaf falls to the first filter that matches it.

    Args:
        model: The module whose leaves are dealt out.
        filters: NNX filters such as `nnx.PathContains("bias")`; `...` matches all that is left.
        wrt: The filter of the leaves to deal out.

    Returns:
        One list of paths for each filter, such as `["layer.bias"]`.

    Raises:
        ValueError: If `wrt` or one of the filters gets no leaf, or a leaf matches no filter.

    ```python
    from flax import nnx

    from nnx_state import MultiParam, param_groups

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    print(param_groups(model, [nnx.PathContains("bias"), ...]))
    ```

    ```{.text .output}
    [['bias'], ['kernel']]
    ```
    """
    filters = list(filters)
    groups: list[list[str]] = [[] for _ in filters]
    for path, number in _numbers(model, filters, wrt).items():
        groups[number].append(dotted(path))
    return groups


def grouped_optimizer(
    model: nnx.Module,
    groups: Mapping[filterlib.Filter, optax.GradientTransformation],
    *,
    wrt: filterlib.Filter = nnx.Param,
) -> nnx.Optimizer[Any]:
    """Make one optimizer that has an Optax transformation for each group of leaves, by `optax.partition`.

    A leaf belongs to the first filter that matches it, in the order of the mapping.
    `optax.set_to_zero()` freezes a group.
    A transformation sees its own group alone: clipping by a global norm is then per group.

    Args:
        model: The module to train.
        groups: The transformation of each filter, such as `{nnx.PathContains("bias"): optax.sgd(0.1)}`.
        wrt: The filter of the leaves to train.

    Returns:
        An optimizer whose `update(model, grads)` wants gradients of all leaves that match `wrt`.

    Raises:
        TypeError: If a group has no Optax transformation, but for example a learning rate.
        ValueError: If `wrt` or one of the filters gets no leaf, or a leaf matches no filter.

    ```python
    import optax
    from flax import nnx

    from nnx_state import MultiParam, grouped_optimizer

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    groups = {nnx.PathContains("bias"): optax.sgd(0.1), ...: optax.adam(0.001)}
    optimizer = grouped_optimizer(model, groups)
    print(optimizer.step[...], optimizer.wrt.__name__)
    ```

    ```{.text .output}
    0 Param
    ```
    """
    for chosen, transformation in groups.items():
        if not isinstance(transformation, optax.GradientTransformation):
            raise TypeError(
                f"the group {chosen!r} must have an Optax transformation, got {transformation!r} "
                f"of type {type(transformation).__name__}: pass one such as optax.sgd(0.1)."
            )
    # Optax later sees arrays without their types, so the groups are numbered here, where the Variables are at hand.
    labels = nnx.from_flat_state(_numbers(model, list(groups), wrt))
    return nnx.Optimizer(model, optax.partition(dict(enumerate(groups.values())), labels), wrt=wrt)


def _numbers(model: nnx.Module, filters: list[filterlib.Filter], wrt: filterlib.Filter) -> dict[tuple[Any, ...], int]:
    """Return, for the path of each trained leaf, the number of the first filter that matches it."""
    predicates = [filterlib.to_predicate(chosen) for chosen in filters]
    numbers: dict[tuple[Any, ...], int] = {}
    homeless = []
    for path, leaf in matching(model, wrt):
        matches = [number for number, matched in enumerate(predicates) if matched(path, leaf)]
        if matches:
            numbers[path] = matches[0]
        else:
            homeless.append(dotted(path))
    if homeless:
        raise ValueError(
            f"every leaf needs a group, got none for {', '.join(homeless)}: "
            "add a filter that matches, or end with `...`, which matches all that is left."
        )
    for number, chosen in enumerate(filters):
        if number not in numbers.values():
            raise ValueError(
                f"every filter must get a leaf, {chosen!r} got none: mend its spelling, take it out, "
                "or move it before the filter that takes its leaves."
            )
    return numbers
