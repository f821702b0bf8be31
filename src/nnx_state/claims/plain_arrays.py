"""Plain arrays: what becomes of an array without a wrapper, and what is static."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from nnx_state.claims.compat import NO_ARRAYS, Layer, add, copies, grad, leaves, loss, moved, names, read, step, traces
from nnx_state.claims.registry import NotApplicable, claim, expect, raises

UNWRAPPED = "lessons/multi-param.md#a-value-without-a-wrapper"


def plain(count: float = 0.0) -> Layer:
    """Return a Layer whose count is an array without a wrapper."""
    return Layer(count=jnp.array(count))


def bump(model: Any) -> None:
    """Add 1 to a count without a wrapper."""
    model.count = model.count + 1


@claim(
    "plain-array-is-a-bare-leaf",
    "A plain array is a leaf of the state as it is, without a Variable around it.",
    UNWRAPPED,
    instead=NO_ARRAYS,
)
def plain_array_is_a_bare_leaf() -> None:
    for state in (nnx.state(plain()), nnx.split(plain())[1]):
        expect(isinstance(leaves(state).get("count"), jax.Array), True)


@claim(
    "save-by-type-forgets-an-array",
    "A state that was taken with `nnx.Variable` does not bring a plain array back, and one without a filter does.",
    UNWRAPPED,
    instead=NO_ARRAYS,
)
def save_by_type_forgets_an_array() -> None:
    found = []
    for filters in ((nnx.Variable,), ()):
        fresh = plain(0.0)
        nnx.update(fresh, nnx.state(plain(7.0), *filters))
        found.append(float(fresh.count))
    expect(found, [0.0, 7.0])


@claim(
    "plain-array-has-no-group-by-type",
    "`nnx.split(model, nnx.Param, nnx.Variable)` raises, Non-exhaustive filters, where the model has a plain array.",
    "lessons/homes.md#a-counter-without-a-label",
    instead=NO_ARRAYS,
)
def plain_array_has_no_group_by_type() -> None:
    raises(lambda: nnx.split(plain(), nnx.Param, nnx.Variable), ValueError, "Non-exhaustive filters")


@claim(
    "plain-array-gets-no-gradient",
    "`nnx.grad` gives a plain array no gradient.",
    "lessons/homes.md#run",
    instead=NO_ARRAYS,
)
def plain_array_gets_no_gradient() -> None:
    expect(names(grad(loss, plain())), ["bias", "kernel"])
    expect(names(grad(lambda model: loss(model) + model.count**2, plain())), ["bias", "kernel"])


@claim(
    "optimizer-leaves-a-plain-array",
    "An optimizer leaves a plain array as it is, weight decay included.",
    "lessons/homes.md#run",
    instead=NO_ARRAYS,
)
def optimizer_leaves_a_plain_array() -> None:
    model = plain(5.0)
    before = copies(model)
    step(model, optax.adamw(0.1, weight_decay=0.1))
    expect(moved(before, model), ["bias", "kernel"])


@claim(
    "numpy-array-is-a-leaf",
    "A NumPy array in an attribute is a leaf of the state, as an array of JAX is.",
    "lessons/containers.md#see",
    instead=NO_ARRAYS,
)
def numpy_array_is_a_leaf() -> None:
    expect(names(Layer(count=np.zeros(2))), ["bias", "count", "kernel"])


@claim(
    "shared-array-is-two-leaves",
    "An array in two attributes is two leaves of the state, and a Variable in two attributes is one.",
    "lessons/split-merge.md#a-tie-comes-apart",
    instead=NO_ARRAYS,
)
def shared_array_is_two_leaves() -> None:
    model: Any = plain()
    model.again = model.count
    expect(names(model), ["again", "bias", "count", "kernel"])
    tied: Any = Layer()
    tied.again = tied.count
    expect((tied.again is tied.count, len(names(tied))), (True, 3))


@claim(
    "plain-array-does-not-retrace",
    "A plain array may change its value from call to call of `nnx.jit`, which compiles once.",
    "lessons/homes.md#run",
    instead=NO_ARRAYS,
)
def plain_array_does_not_retrace() -> None:
    compiled, counted = traces(bump)
    model = Layer(count=jnp.zeros((), jnp.int32))
    for _ in range(3):
        compiled(model)
    expect((int(model.count), len(counted)), (3, 1))


@claim(
    "python-number-is-static",
    "A Python number in an attribute is static: it is no leaf of the state, and `nnx.merge` brings it back.",
    "lessons/homes.md#see",
)
def python_number_is_static() -> None:
    model = Layer(count=5)
    expect(names(model), ["bias", "kernel"])
    expect(nnx.merge(*nnx.split(model)).count, 5)


@claim(
    "python-number-retraces",
    "A Python number that changes makes `nnx.jit` trace anew at each call, and a Variable does not.",
    "lessons/homes.md#a-static-counter",
)
def python_number_retraces() -> None:
    static, of_static = traces(bump)
    dynamic, of_dynamic = traces(lambda model: add(model.count, 1))
    number, variable = Layer(count=0), Layer(count=nnx.Variable(jnp.zeros((), jnp.int32)))
    for _ in range(3):
        static(number)
        dynamic(variable)
    expect((number.count, len(of_static)), (3, 3))
    expect((int(read(variable.count)), len(of_dynamic)), (3, 1))


@claim(
    "number-stays-static",
    "An attribute that was a Python number at first raises a ValueError where it gets an array later.",
    "lessons/containers.md#what-raises",
)
def number_stays_static() -> None:
    model: Any = Layer(count=0)

    def assign() -> None:
        model.count = jnp.array(1.0)

    raises(assign, ValueError, "Cannot assign data value")


@claim(
    "none-may-become-a-variable",
    "An attribute that was `None` at first may get a Variable later, which is then a part of the state.",
    "lessons/containers.md#what-raises",
    instead="Cannot assign data value",
)
def none_may_become_a_variable() -> None:
    model: Any = Layer()
    model.cache = None
    model.cache = nnx.Variable(jnp.array(1.0))
    expect("cache" in names(model), True)


@claim(
    "static-refuses-an-array",
    "`nnx.static(jnp.array(0.0))` in an attribute raises a ValueError.",
    "lessons/containers.md#what-raises",
)
def static_refuses_an_array() -> None:
    try:
        inspect.signature(nnx.static).bind(0)
    except TypeError:
        raise NotApplicable("nnx.static takes no value") from None
    raises(lambda: Layer(count=nnx.static(jnp.array(0.0))), ValueError, "annotated with nnx.static")


@claim(
    "number-may-be-data",
    "`nnx.data(0)` makes a Python number a leaf of the state.",
    "lessons/homes.md#predict",
)
def number_may_be_data() -> None:
    expect(names(Layer(count=nnx.data(0))), ["bias", "count", "kernel"])


@claim(
    "number-as-data-does-not-retrace",
    "A Python number that is marked with `nnx.data` may change without another trace of `nnx.jit`.",
    "lessons/homes.md#see",
)
def number_as_data_does_not_retrace() -> None:
    compiled, counted = traces(lambda model: model.count + 0)
    model = Layer(count=nnx.data(0))
    seen = []
    for number in range(3):
        model.count = number
        seen.append(int(compiled(model)))
    expect((seen, len(counted)), ([0, 1, 2], 1))


@claim(
    "is-data-tells-arrays-from-numbers",
    "`nnx.is_data` is true of arrays and Variables, and false of Python numbers and strings.",
    "lessons/containers.md#see",
)
def is_data_tells_arrays_from_numbers() -> None:
    asked = (jnp.zeros(2), np.zeros(2), nnx.Variable(jnp.zeros(2)), Layer(), 0, 1.0, "first", None)
    expect([bool(nnx.is_data(value)) for value in asked], [True] * 4 + [False] * 4)
