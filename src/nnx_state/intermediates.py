"""What is recorded while a model runs, the outputs of layers and averages over batches, and none of it left behind."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx import filterlib

from nnx_state._paths import dotted

__all__ = ["Averages", "activations"]


def activations(
    model: nnx.Module, chosen: filterlib.Filter, *args: Any, **kwargs: Any
) -> tuple[Any, dict[str, tuple[Any, ...]]]:
    """Call a model, and return its output together with the outputs of the layers that a filter matches.

    The outputs are recorded by `nnx.capture`, so that the classes of the layers need not be changed.
    The model holds the leaves that it held before, even where the call raises.

    Args:
        model: The module to call.
        chosen: An NNX filter, which is asked with the path of each layer and the layer, such as `nnx.Linear` or
            `nnx.PathContains("body")`; the model itself is no layer.
        *args: What the model is called with.
        **kwargs: What the model is called with by keyword.

    Returns:
        The output of the model, and a dict from the path of each layer to a tuple of its outputs, one for each call of
        the layer.

    Raises:
        ValueError: If the filter matches no layer, or one whose class inherits its `__call__`.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import activations

    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.Linear(3, 4, rngs=rngs), nnx.relu, nnx.Linear(4, 2, rngs=rngs)
    )
    y, found = activations(model, nnx.Linear, jnp.ones((5, 3)))
    print({path: outputs[0].shape for path, outputs in found.items()})
    ```

    ```{.text .output}
    {'layers.0': (5, 4), 'layers.2': (5, 2)}
    ```
    """
    matched = filterlib.to_predicate(chosen)
    layers = {path: layer for path, layer in nnx.iter_modules(model) if path and callable(layer)}
    wanted = {path: layer for path, layer in layers.items() if matched(path, layer)}
    if not wanted:
        there = ", ".join(map(dotted, layers)) or "no layer"
        raise ValueError(f"the filter must match a layer, {chosen!r} matches none: {type(model).__name__} has {there}.")
    for path, layer in wanted.items():
        if "__call__" not in vars(type(layer)):  # nnx.capture wraps what a class defines itself, and nothing else
            raise ValueError(
                f"the class of a recorded layer must define __call__ itself, {type(layer).__name__} at {dotted(path)} "
                "inherits it: define one that returns super().__call__(…)."
            )
    for cls in {type(module) for _, module in nnx.iter_modules(model)}:
        _take_back(cls)
    forward = nnx.capture(model, nnx.Intermediate, method_outputs=nnx.Intermediate)
    try:
        output, state = forward(*args, **kwargs)
    except BaseException:
        _forget(model)
        raise
    found = dict(nnx.to_flat_state(state))
    calls = {path: found.get((*path, "__call__")) for path in wanted}
    return output, {dotted(path): kept.get_value() if kept else () for path, kept in calls.items()}


def _take_back(cls: type[nnx.Module]) -> None:
    """Take out of a class the inherited methods that `nnx.tabulate` has copied into it.

    `nnx.capture` would wrap them as the class's own, also `sow`, by which it records: that one would call itself.
    """
    for name, value in list(vars(cls).items()):
        if callable(value) and any(vars(base).get(name) is value for base in cls.__mro__[1:]):
            delattr(cls, name)


def _forget(model: nnx.Module) -> None:
    """Take out what `nnx.capture` leaves in a model where the call raises: later values would be sown there unseen."""
    for _, module in nnx.iter_modules(model):
        if hasattr(module, "__captures__"):
            del module.__captures__


class Averages(nnx.MultiMetric):
    """Averages of several numbers over all examples of all batches.

    It is an `nnx.MultiMetric` that refuses what the latter accepts in silence: a name that it does not know, and the
    mean of a batch, which has lost the number of its examples.

    Args:
        *names: The names of the numbers, such as `"loss"`.

    Raises:
        ValueError: If a name is that of a method.

    ```python
    import jax.numpy as jnp

    from nnx_state import Averages

    averages = Averages("loss")
    averages.update(loss=jnp.array([1.0, 1.0, 1.0]))
    averages.update(loss=jnp.array([5.0]))  # a last batch that is smaller
    print(averages.take())
    ```

    ```{.text .output}
    {'loss': 2.0}
    ```
    """

    def __init__(self, *names: str) -> None:
        if taken := [name for name in names if hasattr(Averages, name)]:
            raise ValueError(f"a name must not be that of a method, got {', '.join(taken)}: choose another.")
        averages = {name: nnx.metrics.Average(name) for name in names}
        super().__init__(**averages)  # type: ignore[no-untyped-call]  # as Flax has it

    def update(self, *, mask: jax.Array | None = None, **values: jax.Array) -> None:
        """Add the numbers of one batch, in place.

        Args:
            mask: Which examples count, of shape (batch,), where the batch was filled up; by default all.
            **values: For each name an array of shape (batch,), a number or a bool for each example.

        Raises:
            ValueError: If a name is missing or not known, or if its value is a single number.
        """
        if values.keys() != set(self._metric_names):
            raise ValueError(
                f"update must get {', '.join(self._metric_names)}, got {', '.join(values) or 'nothing'}: "
                "pass each name, and no other."
            )
        for name, value in values.items():
            if jnp.ndim(value) == 0:
                raise ValueError(
                    f"{name} must hold a number for each example, got one number: pass it before its mean."
                )
        super().update(mask=mask, **values)

    def take(self) -> dict[str, float]:
        """Return the averages since the last call as Python numbers, and begin anew; of no examples they are NaN.

        It waits for the numbers, so that it is called outside of `nnx.jit`, once in an epoch.
        """
        averages = {name: float(average) for name, average in self.compute().items()}
        self.reset()
        return averages
