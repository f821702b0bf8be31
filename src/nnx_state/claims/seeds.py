"""Seeds and zero bias: which layers of one seed are equal."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import read
from nnx_state.claims.registry import claim, expect

PREDICT = "lessons/linear.md#predict"
SEE = "lessons/linear.md#see"
ZERO = "lessons/multi-param.md#see"
STREAMS = "lessons/randomness.md#see"

X = jnp.array([1.0, -2.0, 3.0, 0.5])


class Linear(nnx.Module):
    """A layer that is written by hand: a kernel, and perhaps a bias of zeros."""

    def __init__(self, features: int, outputs: int, use_bias: bool, rngs: Any) -> None:
        draw = jax.random.normal(rngs.params(), (features, outputs))
        self.kernel = nnx.Param(draw * (1.0 / jnp.sqrt(features)))
        self.bias = nnx.Param(jnp.zeros((outputs,))) if use_bias else None

    def __call__(self, x: Any) -> Any:
        """Return the product with the kernel, and add the bias where there is one."""
        y = x @ read(self.kernel)
        return y if self.bias is None else y + read(self.bias)


def same(one: Any, other: Any) -> bool:
    """Tell whether two arrays, or what two Variables hold, are equal to the last digit."""
    return bool((read(one) == read(other)).all())


def two_layers(layer: Any, use_bias: bool, seed: int = 0) -> tuple[Any, Any]:
    """Return two layers that draw from one `nnx.Rngs`, one after the other."""
    rngs = nnx.Rngs(seed)
    return layer(4, 4, use_bias=use_bias, rngs=rngs), layer(4, 4, use_bias=use_bias, rngs=rngs)


@claim(
    "one-seed-one-kernel", "Two layers that are built with one seed have the same kernel, to the last digit.", PREDICT
)
def one_seed_one_kernel() -> None:
    one, two = (nnx.Linear(4, 2, rngs=nnx.Rngs(0)) for _ in range(2))
    expect(same(one.kernel, two.kernel), True)


@claim("another-seed-another-kernel", "A layer that is built with another seed has another kernel.", PREDICT)
def another_seed_another_kernel() -> None:
    one, two = (nnx.Linear(4, 2, rngs=nnx.Rngs(seed)) for seed in range(2))
    expect(same(one.kernel, two.kernel), False)


@claim(
    "the-next-layer-has-another-kernel",
    "The second layer that is built with one `nnx.Rngs` has another kernel than the first.",
    SEE,
)
def the_next_layer_has_another_kernel() -> None:
    one, two = two_layers(nnx.Linear, use_bias=True)
    expect(same(one.kernel, two.kernel), False)


@claim("a-bias-starts-at-zero", "The bias of a new `nnx.Linear` is zero.", ZERO)
def a_bias_starts_at_zero() -> None:
    expect(read(nnx.Linear(4, 2, rngs=nnx.Rngs(0)).bias).tolist(), [0.0, 0.0])


@claim(
    "zero-bias-of-nnx-linear",
    "`nnx.Linear` with and without `use_bias`, built with one seed, gives the same output.",
    ZERO,
)
def zero_bias_of_nnx_linear() -> None:
    biased, plain = (nnx.Linear(4, 2, use_bias=use, rngs=nnx.Rngs(0)) for use in (True, False))
    expect(same(biased(X), plain(X)), True)


@claim(
    "a-zero-bias-draws-a-key",
    "The zero bias of an `nnx.Linear` draws a key: without it, the next layer of one `nnx.Rngs` has another kernel.",
    STREAMS,
)
def a_zero_bias_draws_a_key() -> None:
    (one, two), (plain_one, plain_two) = (two_layers(nnx.Linear, use_bias=use) for use in (True, False))
    expect([same(one.kernel, plain_one.kernel), same(two.kernel, plain_two.kernel)], [True, False])


@claim(
    "a-bias-by-hand-draws-no-key",
    "A zero bias by hand draws no key: the next layer has the kernel that it has without it.",
    STREAMS,
)
def a_bias_by_hand_draws_no_key() -> None:
    (_, two), (_, plain_two) = (two_layers(Linear, use_bias=use) for use in (True, False))
    expect(same(two.kernel, plain_two.kernel), True)


@claim(
    "a-kernel-by-hand-is-another",
    "A kernel by hand, normal and divided by the root of the inputs, is not that of `nnx.Linear` with the same seed.",
    SEE,
)
def a_kernel_by_hand_is_another() -> None:
    by_hand = Linear(4, 2, use_bias=False, rngs=nnx.Rngs(0))
    theirs = nnx.Linear(4, 2, use_bias=False, rngs=nnx.Rngs(0))
    expect(same(by_hand.kernel, theirs.kernel), False)


@claim(
    "nnx-linear-draws-truncated",
    "`nnx.Linear` draws from a normal that is cut off at two of its deviations; by hand, nothing is cut off.",
    SEE,
)
def nnx_linear_draws_truncated() -> None:
    by_hand = Linear(100, 1000, use_bias=False, rngs=nnx.Rngs(0))
    theirs = nnx.Linear(100, 1000, use_bias=False, rngs=nnx.Rngs(0))
    limit = 2.0 / 0.87962566 / 10.0 + 1e-4  # the deviation is 1/10 after the cut, and more before it
    expect([bool(abs(read(layer.kernel)).max() < limit) for layer in (theirs, by_hand)], [True, False])


@claim(
    "outputs-keep-their-size",
    "With the kernel divided by the root of the inputs, outputs have a deviation of about 1, whatever the width.",
    SEE,
)
def outputs_keep_their_size() -> None:
    seen = [Linear(width, 10_000, False, rngs=nnx.Rngs(0))(jnp.ones(width)).std() for width in (4, 16, 256)]
    expect([round(float(deviation), 1) for deviation in seen], [1.0, 1.0, 1.0])


@claim(
    "the-width-decides-the-kernel",
    "A wider kernel of the same seed does not begin with the numbers of the narrower one.",
    SEE,
)
def the_width_decides_the_kernel() -> None:
    narrow, wide = (Linear(4, width, use_bias=False, rngs=nnx.Rngs(0)) for width in (2, 3))
    expect(same(narrow.kernel, read(wide.kernel)[:, :2]), False)


@claim(
    "the-kernel-of-seed-0",
    "The kernel of `nnx.Linear(4, 2, rngs=nnx.Rngs(0))` begins with 0.54 and -0.48.",
    PREDICT,
)
def the_kernel_of_seed_0() -> None:
    row = read(nnx.Linear(4, 2, rngs=nnx.Rngs(0)).kernel)[0]
    expect([round(float(number), 2) for number in row], [0.54, -0.48])
