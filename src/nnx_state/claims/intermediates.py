"""Intermediates: what `sow` leaves in a model, and how it is taken out."""

from typing import Any

import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import leaves, names, read, traces
from nnx_state.claims.registry import claim, differs, expect, warns

GUIDE = "a guide of Flax"


class Sowing(nnx.Module):
    """A layer that stores what it gets as an Intermediate."""

    def __init__(self) -> None:
        self.kernel = nnx.Param(jnp.ones(()))

    def __call__(self, x: Any) -> Any:
        """Sow `x`, and return it times the kernel."""
        self.sow(nnx.Intermediate, "seen", x)
        return x * read(self.kernel)


def sown(state: Any) -> dict[str, list[float]]:
    """Return the numbers that `sow` has stored in a state, by path."""
    return {path: [float(number) for number in read(leaf)] for path, leaf in leaves(state).items()}


@claim(
    "pop-takes-the-intermediates",
    "`nnx.pop(model, nnx.Intermediate)` returns what `sow` has stored, and takes it out of the model.",
    "lessons/own-types.md",
    GUIDE,
)
def pop_takes_the_intermediates() -> None:
    model = Sowing()
    model(jnp.array(2.0))
    popped = nnx.pop(model, nnx.Intermediate)
    expect([sown(popped), hasattr(model, "seen")], [{"seen": [2.0]}, False])


@claim(
    "intermediate-stays",
    "What `sow` stores stays in `nnx.state(model)`, and so in a checkpoint, until it is popped.",
    "upgrading.md#flax-012",
)
def intermediate_stays() -> None:
    model = Sowing()
    model(jnp.array(2.0))
    expect(sown(nnx.state(model, nnx.Intermediate)), {"seen": [2.0]})
    nnx.pop(model, nnx.Intermediate)
    expect(names(model), ["kernel"])


@claim(
    "sow-replaces",
    "A second call replaces what the first one has sown.",
    "upgrading.md#flax-012",
)
def sow_replaces() -> None:
    model: Any = Sowing()
    for number in (1.0, 2.0):
        model(jnp.array(number))
    kept = [float(number) for number in read(model.seen)]
    if kept != [2.0]:
        differs(f"both are kept: {kept}")


@claim(
    "sow-compiles-again",
    "A model that sows is traced again at the second call under `nnx.jit`, and at the third.",
    "upgrading.md#flax-012",
)
def sow_compiles_again() -> None:
    forward, counted = traces(lambda model, x: model(x))
    model = Sowing()
    for _ in range(3):
        forward(model, jnp.array(1.0))
    expect(len(counted), 3)


@claim(
    "sow-alone-warns",
    "`sow` outside `nnx.capture` emits a DeprecationWarning.",
    "pitfalls.md#sow",
)
def sow_alone_warns() -> None:
    warns(lambda: Sowing()(jnp.array(1.0)), DeprecationWarning, "Using 'Module.sow()' outside of 'nnx.capture()'")


@claim(
    "capture-returns-both",
    "`nnx.capture(model, nnx.Intermediate)(x)` returns the output and what was sown, and leaves none in the model.",
    "pitfalls.md#sow",
    GUIDE,
)
def capture_returns_both() -> None:
    model = Sowing()
    y, found = nnx.capture(model, nnx.Intermediate)(jnp.array(2.0))
    expect([float(y), sown(found), hasattr(model, "seen")], [2.0, {"seen": [2.0]}, False])
