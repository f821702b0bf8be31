"""Checks of the exercise Testing modules.

The attempt is a test, so it is given layers: right ones, which it must let pass, and then layers with one fault each,
which it must not.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.lines import raising_line
from nnx_state.practice.probe import Attempt, Stop
from nnx_state.practice.values import describe

SHAPE = (3, 2)


def one_more(layer: Any, x: jax.Array) -> None:
    """Count a call as it is asked for."""
    layer.count[...] += 1


class Layer(nnx.Module):
    """A layer that counts its calls: a right one, unless it is given a wrong count or a wrong way to count."""

    def __init__(self, rngs: nnx.Rngs, count: Any = None, counts: Callable[[Any, jax.Array], None] = one_more) -> None:
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), SHAPE))
        self.bias: Any = nnx.Param(jnp.zeros(SHAPE[1]))
        self.count = nnx.Variable(jnp.array(0)) if count is None else count
        self.counts = counts

    def __call__(self, x: jax.Array) -> jax.Array:
        """Count, and return the product."""
        self.counts(self, x)
        y: jax.Array = x @ self.kernel[...] + self.bias[...]
        return y


class Calls(nnx.Variable[Any]):
    """A type of one's own."""


class OfLinear(nnx.Linear):
    """A right layer that is made otherwise: of a Linear, with a count of another type and dtype."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(*SHAPE, rngs=rngs)
        self.count = Calls(jnp.zeros((), jnp.uint32))

    def __call__(self, inputs: jax.Array, out_sharding: Any = None) -> jax.Array:
        """Return the product, and count."""
        y = super().__call__(inputs)
        self.count.set_value(self.count.get_value() + 1)
        return y


def of_ones(rngs: nnx.Rngs) -> Layer:
    """Return a right layer whose bias is not zeros, and whose count is of a type of NNX."""
    layer = Layer(rngs, nnx.BatchStat(jnp.array(0)))
    layer.bias[...] = jnp.ones(SHAPE[1])
    return layer


def with_count(make: Callable[[], Any]) -> Callable[[nnx.Rngs], Layer]:
    """Return what makes layers with another count."""
    return lambda rngs: Layer(rngs, make())


def counting(counts: Callable[[Any, jax.Array], None]) -> Callable[[nnx.Rngs], Layer]:
    """Return what makes layers that count in another way."""
    return lambda rngs: Layer(rngs, counts=counts)


def with_more(**attributes: Callable[[], Any]) -> Callable[[nnx.Rngs], Layer]:
    """Return what makes layers of which some attributes are set anew."""

    def make(rngs: nnx.Rngs) -> Layer:
        layer = Layer(rngs)
        for name, value in attributes.items():
            setattr(layer, name, value())
        return layer

    return make


def of_no_seed() -> Callable[[nnx.Rngs], Layer]:
    """Draw other numbers each time, as from a generator that nobody has seeded."""
    drawn = np.random.default_rng(0)
    return lambda rngs: Layer(nnx.Rngs(int(drawn.integers(1000))))


def of_one_count() -> Callable[[nnx.Rngs], Layer]:
    """Give all layers one and the same count."""
    shared = nnx.Variable(jnp.array(0))
    return with_count(lambda: shared)


def at_traces() -> Callable[[nnx.Rngs], Layer]:
    """Count in Python, which runs at each eager call and once for each trace."""

    def make(rngs: nnx.Rngs) -> Layer:
        calls = [0]

        def counts(layer: Any, x: jax.Array) -> None:
            calls[0] += 1
            layer.count[...] = calls[0]

        return Layer(rngs, counts=counts)

    return make


def _plain(layer: Any, x: jax.Array) -> None:
    layer.count = layer.count + 1


def _rows(layer: Any, x: jax.Array) -> None:
    layer.count[...] += len(x)


def _once(layer: Any, x: jax.Array) -> None:
    layer.count[...] = 1


def _eagerly(layer: Any, x: jax.Array) -> None:
    if not isinstance(x, jax.core.Tracer):
        layer.count[...] += 1


def _with_kernel(layer: Any, x: jax.Array) -> None:
    layer.count[...] += 1
    layer.kernel[...] = 0.5 * layer.kernel[...]


def _with_bias(layer: Any, x: jax.Array) -> None:
    layer.count[...] += 1
    layer.bias[...] += 1.0


Make = Callable[[nnx.Rngs], Any]
RIGHT: dict[str, Make] = {
    "a right layer": Layer,
    "a right layer with a count of an own type and of uint32": OfLinear,
    "a right layer with a bias of ones and a count that is a BatchStat": of_ones,
}
WRONG: dict[str, tuple[str, Callable[[], Make]]] = {
    "param": ("whose count is a Param", lambda: with_count(lambda: nnx.Param(jnp.array(0)))),
    "untrained": ("whose bias is no Param", lambda: with_more(bias=lambda: nnx.Variable(jnp.zeros(SHAPE[1])))),
    "more": ("with one more Param", lambda: with_more(scale=lambda: nnx.Param(jnp.ones(SHAPE[1])))),
    "plain": ("whose count is a plain array", lambda: lambda rngs: Layer(rngs, nnx.data(jnp.array(0)), _plain)),
    "float": ("whose count is a float", lambda: with_count(lambda: nnx.Variable(jnp.array(0.0)))),
    "start": ("whose count begins at 2", lambda: with_count(lambda: nnx.Variable(jnp.array(2)))),
    "one-seed": ("whose kernel is the same for each seed", lambda: lambda rngs: Layer(nnx.Rngs(7))),
    "no-seed": ("whose kernel is another each time, for one seed too", of_no_seed),
    "rows": ("that counts the rows of the batch", lambda: counting(_rows)),
    "once": ("whose count is 1 after any number of calls", lambda: counting(_once)),
    "eager": ("that does not count under `nnx.jit`", lambda: counting(_eagerly)),
    "traces": ("that counts the traces of a compiled function, and not its calls", at_traces),
    "kernel": ("whose calls write the kernel", lambda: counting(_with_kernel)),
    "bias": ("whose calls write the bias", lambda: counting(_with_bias)),
    "shared": ("that shares its count with other layers", of_one_count),
}


def names(attempt: Attempt) -> Iterator[Finding]:
    """The test is there."""
    attempt.function("assert_counts", "make")
    yield from ()


def lets_pass(attempt: Attempt) -> Iterator[Finding]:
    """Right layers pass."""
    line = attempt.line("assert_counts")
    for number, (name, make) in enumerate(RIGHT.items()):
        try:
            returned = attempt.call("assert_counts(make)", make=make)
        except Stop:
            raise
        except Exception as error:
            line = raising_line(attempt.path, error) or line
            seen = f"it raises {type(error).__name__} for {name}: {error}".rstrip(": ")
            kind = "right" if number == 0 else "others"
            raise Stop(Finding(kind, "rejects", seen, "it returns None", line)) from None
        if returned is not None:
            raise Stop(Finding("result-type", "assert_counts", f"it returns {describe(returned)}", "None", line))
    yield from ()


def finds(attempt: Attempt) -> Iterator[Finding]:
    """No layer with a fault passes."""
    accepted = [kind for kind in WRONG if _passes(attempt, WRONG[kind][1]())]
    if accepted:
        kind, others = accepted[0], accepted[1:]
        measured = f"It also accepts a layer {'; and one '.join(WRONG[one][0] for one in others)}." if others else ""
        seen = f"it accepts a layer {WRONG[kind][0]}"
        raise Stop(Finding(kind, "accepts", seen, "an exception", attempt.line("assert_counts"), measured))
    yield from ()


def _passes(attempt: Attempt, make: Make) -> bool:
    try:
        attempt.call("assert_counts(make)", make=make)
    except Exception:
        return False
    return True


STAGES = (names, lets_pass, finds)
