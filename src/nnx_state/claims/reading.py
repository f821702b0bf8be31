"""Reading and writing: which ways reach the Variable, and what each does to its type, dtype and shape."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, add, read, traces, write
from nnx_state.claims.registry import SEED, claim, differs, expect, need, raises, warned, warns

SEE = "lessons/reading-writing.md#see"
NUMBER = "lessons/reading-writing.md#the-number-changes"
FLOAT = "lessons/counters.md#a-float-counter"
GUIDE, ISSUE = "a guide of Flax", "an issue of Flax"
# What releases say that know no write by brackets.
NO_WRITE = ("JAX arrays are immutable", "does not support item assignment")


def zero(dtype: Any = jnp.float32) -> Any:
    return nnx.Variable(jnp.zeros((), dtype))


def value(variable: Any) -> Any:
    return getattr(variable, "value")  # noqa: B009 - the statements are about the attribute


def set_value(variable: Any, new: Any) -> None:
    setattr(variable, "value", new)  # noqa: B010 - the statements are about the attribute


def set_all(variable: Any, new: Any, index: Any = ...) -> None:
    variable[index] = new


def quiet(function: Callable[[], Any]) -> Any:
    """Return what a call returns, and let its warnings pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function()


def holds(variable: Any, number: Any, kind: str) -> None:
    """Go on where a Variable holds this number, or list of them, in an array of this dtype."""
    array = read(variable)
    if not isinstance(array, jax.Array):
        differs(f"the Variable holds {array}, a Python {type(array).__name__}")
    if (array.tolist(), str(array.dtype)) != (number, kind):
        differs(f"the Variable holds {array.tolist()} as {array.dtype}")


@claim("value-attribute-writes", "`count.value += 1` adds one to what the Variable holds.", SEE, SEED)
def value_attribute_writes() -> None:
    count: Any = zero()

    def count_one() -> None:
        setattr(count, "value", getattr(count, "value") + 1)  # noqa: B009, B010 - as `count.value += 1` does

    quiet(count_one)
    expect(float(read(count)), 1.0)


@claim("reading-value-warns", "To read `count.value` gives a DeprecationWarning.", "upgrading.md#flax-012", ISSUE)
def reading_value_warns() -> None:
    warns(lambda: value(zero()), DeprecationWarning, "'.value' access is now deprecated")


@claim("writing-value-warns", "To write `count.value = 1` gives a DeprecationWarning.", "upgrading.md#flax-012", ISSUE)
def writing_value_warns() -> None:
    warns(lambda: set_value(zero(), jnp.ones(())), DeprecationWarning, "'.value' setter is now deprecated")


@claim("brackets-write", "`count[...] += 1` adds one to what the Variable holds.", SEE, GUIDE, instead=NO_WRITE)
def brackets_write() -> None:
    count = zero()
    quiet(lambda: set_all(count, count[...] + 1))
    holds(count, 1.0, "float32")


@claim("brackets-do-not-warn", "`count[...]` is read and written without a warning.", SEE, instead=NO_WRITE)
def brackets_do_not_warn() -> None:
    count = zero()
    expect(warned(lambda: set_all(count, count[...] + 1)), [])
    holds(count, 1.0, "float32")


@claim(
    "brackets-write-one-element",
    "`row[1] = 5` writes one element of the array that the Variable holds.",
    SEE,
    instead=NO_WRITE,
)
def brackets_write_one_element() -> None:
    row = nnx.Variable(jnp.zeros(3))
    set_all(row, 5.0, 1)
    holds(row, [0.0, 5.0, 0.0], "float32")


@claim("set-value-writes", "`count.get_value()` reads and `count.set_value(x)` writes, without a warning.", SEE)
def set_value_writes() -> None:
    count: Any = zero()
    need(nnx.Variable, "get_value", "set_value")
    expect(warned(lambda: count.set_value(count.get_value() + 1)), [])
    expect(float(read(count)), 1.0)


@claim(
    "an-array-that-was-read-stays",
    "An array that was read from a Variable keeps its numbers when the Variable is written.",
    SEE,
)
def an_array_that_was_read_stays() -> None:
    count = zero()
    before = read(count)
    add(count, 1.0)
    expect([float(before), float(read(count))], [0.0, 1.0])


@claim(
    "a-number-has-no-brackets",
    "`nnx.Variable(0)` holds a Python number: `count[...]` raises a TypeError.",
    "lessons/reading-writing.md#the-variable-is-asked-what-only-an-array-answers",
)
def a_number_has_no_brackets() -> None:
    count: Any = nnx.Variable(0)
    raises(lambda: count[...], TypeError, "'int' object is not subscriptable")


@claim(
    "brackets-keep-the-dtype",
    "`count[...] = 1.5` on an int32 Variable keeps int32 and stores 1.",
    NUMBER,
    instead=NO_WRITE,
)
def brackets_keep_the_dtype() -> None:
    count = zero(jnp.int32)
    quiet(lambda: set_all(count, 1.5))
    holds(count, 1, "int32")


@claim(
    "brackets-warn-of-a-float",
    "`count[...] = 1.5` on an int32 Variable gives a FutureWarning.",
    NUMBER,
    instead=NO_WRITE,
)
def brackets_warn_of_a_float() -> None:
    count = zero(jnp.int32)
    warns(lambda: set_all(count, 1.5), FutureWarning, "scatter inputs have incompatible types")


@claim(
    "brackets-wrap-in-silence",
    "`small[...] = 300` with an int32 array wraps to 44 in an int8 Variable, without a warning.",
    NUMBER,
    instead=NO_WRITE,
)
def brackets_wrap_in_silence() -> None:
    small = zero(jnp.int8)
    expect(warned(lambda: set_all(small, jnp.array(300))), [])
    holds(small, 44, "int8")


@claim("brackets-fill-a-row", "`row[...] = 1.0` fills the array and keeps its shape.", NUMBER, instead=NO_WRITE)
def brackets_fill_a_row() -> None:
    row = nnx.Variable(jnp.zeros(3))
    set_all(row, 1.0)
    holds(row, [1.0, 1.0, 1.0], "float32")


@claim(
    "set-value-takes-another-dtype",
    "A new value, by `set_value` or `.value`, brings its own dtype: a float in an int32 Variable.",
    NUMBER,
)
def set_value_takes_another_dtype() -> None:
    count = zero(jnp.int32)
    write(count, jnp.array(1.5))
    holds(count, 1.5, "float32")


@claim("set-value-takes-another-shape", "A new value, by `set_value` or `.value`, brings its own shape.", NUMBER)
def set_value_takes_another_shape() -> None:
    row = nnx.Variable(jnp.zeros(3))
    write(row, jnp.ones(()))
    holds(row, 1.0, "float32")


@claim("a-python-float-is-weak", "`jnp.array(0.0)` is weakly typed, and `jnp.zeros(())` is not.", FLOAT)
def a_python_float_is_weak() -> None:
    expect([jnp.array(0.0).weak_type, jnp.zeros(()).weak_type], [True, False])


@claim(
    "a-weak-counter-is-traced-twice",
    "A count of `jnp.array(0.0)` that gets a float32 costs one more trace than one of `jnp.zeros(())`.",
    FLOAT,
)
def a_weak_counter_is_traced_twice() -> None:
    expect([bumps(jnp.array(0.0)), bumps(jnp.zeros(()))], [2, 1])


@claim("a-float-counter-stops", "A float32 counter stops at 16777216, and an int32 counter goes on.", FLOAT)
def a_float_counter_stops() -> None:
    seen = []
    for dtype in (jnp.float32, jnp.int32):
        count = nnx.Variable(jnp.array(2**24, dtype))
        add(count, jnp.ones((), dtype))
        seen.append(int(read(count)))
    expect(seen, [2**24, 2**24 + 1])


def bumps(start: Any) -> int:
    """Return how often a function that adds a float32 to a count is traced in three calls."""
    model = Layer(nnx.Variable(start))
    bump, counted = traces(lambda model: add(model.count, jnp.ones(())))
    for _ in range(3):
        bump(model)
    return len(counted)
