"""A Variable type of one's own, for averaged weights, and the averages themselves."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.filterlib import Filter

from nnx_state._paths import dotted
from nnx_state.counters import Buffer

__all__ = ["EMA", "EmaWeight"]

M = TypeVar("M", bound=nnx.Module)


class EmaWeight(nnx.Variable[Any]):
    """An EmaWeight is the running average of a weight: saved with the model, never trained.

    It is no Param, so an optimizer with `wrt=nnx.Param` leaves it alone, weight decay included.
    So does `nnx.grad` in graph mode, the default of Flax 0.12.
    It holds an array of floats of the shape of the weight.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import EmaWeight

    model = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    model.slow = EmaWeight(jnp.copy(model.kernel[...]))
    print(list(nnx.state(model, EmaWeight)), list(nnx.state(model, nnx.Param)))
    ```

    ```{.text .output}
    ['slow'] ['bias', 'kernel']
    ```
    """


class EMA(nnx.Module):
    """An EMA keeps the exponential moving average of a model's weights, each in an EmaWeight.

    An update is `average += (1 - decay) / seen * (weight - average)`, after `seen += (1 - decay) * (1 - seen)`.
    With `debias`, `seen` starts at 0: the first update replaces the starting weights, and later averages are those
    of `optax.ema(debias=True)`, the bias correction of Adam (Kingma and Ba, 2015, section 3).
    Without, `seen` stays at 1: after `n` updates the starting weights have a share of `decay**n`,
    as in `nnx.EMA` and `optax.incremental_update`.

    The averages of bfloat16 and float16 are kept in float32: in bfloat16 small steps round to nothing.
    The EMA may be an attribute of the model that it averages.

    Attributes:
        averages: A State of EmaWeights, with the paths of the model.
        seen: A Buffer with a float scalar from 0 to 1: how much of the average comes from weights that were seen.
        decay: How much of an average one update keeps, but for `seen`.
        only: The filter of the weights.

    Args:
        model: The module whose weights are averaged; they are copied.
        decay: A float from 0 on and below 1; an average looks back on about `1 / (1 - decay)` updates.
        only: A filter of NNX for the weights; each must be a Variable that holds an array of floats.
        debias: Whether the first update replaces the starting weights.

    Raises:
        TypeError: If `decay` is not a float, or a weight is not a Variable that holds an array of floats.
        ValueError: If `decay` is out of range or `only` matches nothing.

    ```python
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from nnx_state import EMA, MultiParam

    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    ema, optax_ema = EMA(model, decay=0.5), optax.ema(0.5)
    memory = optax_ema.init(model.bias[...])
    for number in (0.0, 1.0, 2.0):
        model.bias[...] = jnp.full(2, number)
        ema.update(model)
        average, memory = optax_ema.update(model.bias[...], memory)
    print(list(ema.averages), ema.seen[...])
    by_hand = (2 + 1 / 2) / (1 + 1 / 2 + 1 / 4)
    print(f"{ema.averages['bias'][0]:.3f} {average[0]:.3f} {by_hand:.3f}")
    ```

    ```{.text .output}
    ['bias', 'kernel'] 0.875
    1.429 1.429 1.429
    ```

    `nnx.EMA` keeps the dtype of the weights, and so the average of a bfloat16 weight may stand still.

    ```{.python .fresh}
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import EMA

    model = nnx.Dict(weight=nnx.Param(jnp.ones((), jnp.bfloat16)))
    ours, theirs = EMA(model, 0.999, debias=False), nnx.EMA(model, 0.999)
    model.weight[...] += 1
    for _ in range(200):
        ours.update(model)
        theirs.update(model)
    average = ours.averages["weight"]
    print(f"{average[...]:.2f} {theirs.params['weight'][...]:.2f}", average.dtype)
    print(ours.averaged(model).weight.dtype)
    ```

    ```{.text .output}
    1.18 1.00 float32
    bfloat16
    ```
    """

    def __init__(self, model: nnx.Module, decay: float, *, only: Filter = nnx.Param, debias: bool = True) -> None:
        accepted = "decay must be a float from 0 on and below 1"
        if not isinstance(decay, float):
            raise TypeError(f"{accepted}, got {decay!r} of type {type(decay).__name__}: pass a number such as 0.999.")
        if not 0 <= decay < 1:
            raise ValueError(f"{accepted}, got {decay}: pass a number such as 0.999.")
        weights = _weights(model, only)
        if not weights:
            raise ValueError(
                f"only must match a weight of {type(model).__name__}, got {only!r}, which matches none: "
                "pass another filter, such as nnx.Param."
            )
        self.decay = decay
        self.only = only
        self.seen = Buffer(jnp.array(0 if debias else 1, float))
        self.averages = nnx.data(nnx.from_flat_state({path: _average(weights[path]) for path in weights}))

    def update(self, model: nnx.Module) -> None:
        """Move each average towards the weight of the model, in place, eagerly and under `nnx.jit`.

        What is averaged are the raw values, which the optimizer trains, whatever `get_value` makes of them.

        Args:
            model: The module that was given at first, or one with weights of the same paths and shapes.

        Raises:
            TypeError: If a weight is not a Variable with an array of floats.
            ValueError: If the paths or shapes of the weights differ; nothing is changed then.
        """
        pairs = self._pairs(model)
        self.seen[...] += (1 - self.decay) * (1 - self.seen[...])
        rate = (1 - self.decay) / self.seen[...]
        for average, weight in pairs:
            step = weight.get_raw_value().astype(average.dtype) - average[...]
            average[...] += rate.astype(average.dtype) * step

    def averaged(self, model: M) -> M:
        """Return a copy of the model whose weights are the averages, for evaluation.

        The copy shares nothing with the model nor with the averages: neither changes it later.
        Its weights keep their types and dtypes.

        Args:
            model: The module to copy; it is not changed.

        Returns:
            A module of the same class; what is not averaged has the values of the model.

        Raises:
            TypeError: If a weight is not a Variable with an array of floats.
            ValueError: If the paths or shapes of the weights differ.

        ```python
        from flax import nnx

        from nnx_state import EMA, MultiParam, shared

        model = MultiParam(4, 2, rngs=nnx.Rngs(0))
        ema = EMA(model, decay=0.9)
        model.bias[...] += 1
        evaluated = ema.averaged(model)
        print(model.bias[...], evaluated.bias[...], type(evaluated.bias).__name__)
        for other in (model, ema):
            print(shared(evaluated, other, buffers=True))
        ```

        ```{.text .output}
        [1. 1.] [0. 0.] Param
        []
        []
        ```
        """
        copy = nnx.clone(model, arrays=True)
        for average, weight in self._pairs(copy):
            weight.set_raw_value(jnp.array(average[...], weight.dtype))
        return copy

    def _pairs(self, model: nnx.Module) -> list[tuple[EmaWeight, nnx.Variable[Any]]]:
        """Return each average with its weight."""
        averages = dict(nnx.to_flat_state(self.averages))
        weights = _weights(model, self.only)
        wanted = {path: average.shape for path, average in averages.items()}
        given = {path: weight.shape for path, weight in weights.items()}
        faults = [
            f"{dotted(path)} {given.get(path, 'absent')} instead of {wanted.get(path, 'absent')}"
            for path in wanted | given
            if given.get(path) != wanted.get(path)
        ]
        if faults:
            raise ValueError(
                f"the weights must have the paths and shapes of the averages, got {', '.join(faults)}: "
                "pass the model that is averaged, or make a new EMA."
            )
        return [(averages[path], weights[path]) for path in averages]


def _weights(model: nnx.Module, only: Filter) -> dict[tuple[Any, ...], nnx.Variable[Any]]:
    """Return the Variables to average, each of which must hold an array of floats."""
    weights = dict(nnx.to_flat_state(nnx.state(model, only)))
    for path, leaf in weights.items():
        given = "no Variable"
        if isinstance(leaf, nnx.Variable):
            value = leaf.get_raw_value()
            if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.inexact):
                continue
            held = value.dtype if isinstance(value, jax.Array) else type(value).__name__
            given = f"a {type(leaf).__name__} of {held}"
        raise TypeError(
            f"a weight must be a Variable that holds an array of floats, got {given} at {dotted(path)}: "
            "pass only= a filter that leaves it out, such as nnx.Param."
        )
    return weights


def _average(weight: nnx.Variable[Any]) -> EmaWeight:
    """Return a copy of a weight, in float32 if its dtype is smaller."""
    dtype = max(weight.dtype, jnp.dtype(jnp.float32))  # a dtype is smaller than one that holds all its values
    return EmaWeight(jnp.array(weight.get_raw_value(), dtype))
