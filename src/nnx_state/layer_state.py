"""Which leaves a call writes, and a recurrent layer that goes on where its last call ended."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state._bits import bits
from nnx_state._paths import leaves

__all__ = ["Carry", "StatefulRNN", "written"]


def written(model: nnx.Module, call: Callable[[Any], Any]) -> dict[str, str]:
    """Return the leaves of a model that a call writes, each with its type.

    The call gets a copy of the model with arrays of its own, and the model itself stays as it was.
    A leaf is written if its bits differ afterwards, or if it is there only before or only after the call.
    So a leaf that is written with the numbers it had already is not seen.

    Args:
        model: The module to ask about, in training or in evaluation mode.
        call: What is done with the copy, such as `lambda model: model(x)`.

    Returns:
        The name of the Variable's type by path, such as `{"mean": "BatchStat"}`; a bare array has its own type.

    Raises:
        TypeError: If the model is traced.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import written

    norm = nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    print(written(norm, lambda norm: norm(jnp.ones((3, 2)))))
    norm.eval()
    print(written(norm, lambda norm: norm(jnp.ones((3, 2)))))
    ```

    ```{.text .output}
    {'mean': 'BatchStat', 'var': 'BatchStat'}
    {}
    ```
    """
    copy = nnx.clone(model, arrays=True)
    before = _seen(copy)
    call(copy)
    after = _seen(copy)
    changed = [path for path in sorted(before | after) if before.get(path) != after.get(path)]
    return {path: (after if path in after else before)[path][0] for path in changed}


def _seen(model: nnx.Module) -> dict[str, tuple[str, Any]]:
    return {path: (type(leaf).__name__, bits(leaf, "written")) for path, leaf in leaves(model)}


class Carry(nnx.Variable[Any]):
    """What a recurrent cell hands on from one step to the next: an array, or a tuple of arrays for an LSTM."""


class StatefulRNN(nnx.Module):
    """A recurrent layer that goes on where its last call ended, so that a long sequence may come in parts.

    `nnx.RNN` begins each call with a new carry and keeps none.
    Here the carry is a Variable, so that it is saved, copied and written back like any other state.

    Attributes:
        rnn: The `nnx.RNN` that runs the cell over time.
        carry: What the last call left: floats of shape (batch, hidden), for an LSTM a tuple of two such arrays.

    Args:
        cell: A cell of Flax, such as `nnx.GRUCell(3, 4, rngs=rngs)`.
        batch: How many sequences are read side by side.
        rngs: The streams from which the cell draws its first carry, if it draws one.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state import StatefulRNN

    cell = nnx.GRUCell(3, 4, rngs=nnx.Rngs(0))
    model = StatefulRNN(cell, 2, rngs=nnx.Rngs(1))
    x = jnp.ones((2, 6, 3))
    whole = model(x)
    model.reset()
    parts = jnp.concatenate([model(x[:, :3]), model(x[:, 3:])], axis=1)
    assert jnp.allclose(parts, whole, atol=1e-6)
    ```
    """

    def __init__(self, cell: Any, batch: int, *, rngs: nnx.Rngs) -> None:
        self.rnn = nnx.RNN(cell)
        self.carry = Carry(cell.initialize_carry((batch, cell.in_features), rngs))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Read the next part of each sequence.

        Args:
            x: Floats of shape (batch, time, features).

        Returns:
            The outputs of all steps, of shape (batch, time, hidden).

        Raises:
            ValueError: If the batch is not the one that the carry was made for.
        """
        carry = self.carry.get_value()
        batch = jax.tree.leaves(carry)[0].shape[0]
        if x.shape[0] != batch:
            raise ValueError(f"x must hold the {batch} sequences of the carry, got {len(x)}: make a layer for them.")
        y: jax.Array
        carry, y = self.rnn(x, initial_carry=carry, return_carry=True)
        self.carry.set_value(carry)
        return y

    def reset(self) -> None:
        """Begin new sequences: set the carry to zeros."""
        self.carry.set_value(jax.tree.map(jnp.zeros_like, self.carry.get_value()))
