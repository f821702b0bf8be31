"""A Param as an array: what takes a Variable for the array that it holds, and what refuses it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.claims.compat import read, under
from nnx_state.claims.registry import claim, differs, expect, raises, works

SEE = "lessons/reading-writing.md#see"
ASKED = "lessons/reading-writing.md#the-variable-is-asked-what-only-an-array-answers"
LINEAR = "lessons/linear.md#see"
GUIDE, ISSUE = "a guide of Flax", "an issue of Flax"
# What JAX says where one of its primitives meets a Param, today and before.
REFUSED = (
    "Triggering __jax_array__() during abstractification is no longer supported",
    "No constant handler for type",
    "is not a valid JAX type",
)


def param() -> Any:
    return nnx.Param(jnp.array([0.0, 1.0, 2.0]))


def scalar(value: Any = 2.0) -> Any:
    return nnx.Variable(jnp.array(value))


def refused(calls: dict[str, Callable[[], Any]]) -> dict[str, str]:
    """Return what the calls that do not return an array raise or return, by name."""
    found = {}
    for name, call in calls.items():
        try:
            result = call()
        except Exception as error:
            found[name] = type(error).__name__
        else:
            if not isinstance(result, jax.Array):
                found[name] = type(result).__name__
    return found


def all_take(calls: dict[str, Callable[[], Any]]) -> None:
    """Go on where each of the calls returns an array."""
    if found := refused(calls):
        differs("refused: " + ", ".join(f"{name} ({kind})" for name, kind in found.items()))


@claim(
    "matmul-takes-a-param-under-jit", "Under `nnx.jit`, too, `x @ kernel + bias` works with Params as they are.", LINEAR
)
def matmul_takes_a_param_under_jit() -> None:
    layer = nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    jitted = under(nnx.jit, lambda layer, x: x @ layer.kernel + layer.bias)
    output = works(lambda: jitted(layer, jnp.ones(4)))
    expect(bool(jnp.allclose(output, layer(jnp.ones(4)), atol=1e-5)), True)


@claim(
    "jnp-takes-a-param", "Functions of `jax.numpy` take a Param: `dot`, `einsum`, `sum`, `where`, `stack`, `exp`.", SEE
)
def jnp_takes_a_param() -> None:
    p = param()
    calls = {
        "dot": lambda: jnp.dot(p, p),
        "einsum": lambda: jnp.einsum("i,i->", p, p),
        "sum": lambda: jnp.sum(p),
        "where": lambda: jnp.where(jnp.array([True, False, True]), p, 0.0),
        "stack": lambda: jnp.stack([p, p]),
        "exp": lambda: jnp.exp(p),
    }
    all_take(calls)


@claim("jax-nn-takes-a-param", "Functions of `jax.nn` take a Param: `relu`, `softmax`, `gelu`, `silu`.", SEE)
def jax_nn_takes_a_param() -> None:
    p = param()
    calls = {
        "relu": lambda: jax.nn.relu(p),
        "softmax": lambda: jax.nn.softmax(p),
        "gelu": lambda: jax.nn.gelu(p),
        "silu": lambda: jax.nn.silu(p),
    }
    all_take(calls)


@claim(
    "sigmoid-refuses-a-param",
    "`jax.nn.sigmoid` refuses a Param, as `jax.lax` does.",
    ASKED,
)
def sigmoid_refuses_a_param() -> None:
    raises(lambda: jax.nn.sigmoid(param()), (TypeError, ValueError), REFUSED)


@claim(
    "lax-add-refuses-a-param",
    "`jax.lax.add`, `jax.lax.exp` and `jax.lax.dot` refuse a Param with an error.",
    ASKED,
    ISSUE,
)
def lax_add_refuses_a_param() -> None:
    p = param()
    for call in (lambda: jax.lax.add(p, p), lambda: jax.lax.exp(p), lambda: jax.lax.dot(p, p)):
        raises(call, (TypeError, ValueError), REFUSED)


@claim(
    "stop-gradient-takes-a-param",
    "`jax.lax.stop_gradient(p)` takes a Param, and returns a Param of the same numbers.",
    ASKED,
)
def stop_gradient_takes_a_param() -> None:
    def stopped(array: Any) -> Any:
        param = works(lambda: jax.lax.stop_gradient(nnx.Param(array)))
        expect(type(param).__name__, "Param")
        return jnp.sum(read(param))

    value, gradient = jax.value_and_grad(stopped)(jnp.arange(3.0))
    expect((float(value), gradient.tolist()), (3.0, [0.0, 0.0, 0.0]))


@claim("lax-takes-the-array-of-a-param", "`jax.lax` takes what `p[...]` reads.", ASKED)
def lax_takes_the_array_of_a_param() -> None:
    p = param()
    expect(works(lambda: jax.lax.add(p[...], p[...])).tolist(), [0.0, 2.0, 4.0])


@claim(
    "numpy-takes-a-param",
    "`np.asarray(p)` and `np.sum(p)` take a Param for its array.",
    SEE,
    instead="Only scalar arrays can be converted to Python scalars",
)
def numpy_takes_a_param() -> None:
    p, found = param(), np.asarray(param())
    expect((str(found.dtype), found.shape, float(np.sum(p))), ("float32", (3,), 3.0))


@claim("a-param-is-no-jax-array", "`isinstance(p, jax.Array)` is False for a Param.", SEE)
def a_param_is_no_jax_array() -> None:
    expect(isinstance(param(), jax.Array), False)


@claim(
    "a-param-forwards-attributes",
    "A Param forwards attributes of its array: `p.shape`, `p.dtype`, `p.mean()`, `p.T`.",
    SEE,
    instead="'Param' object has no attribute",
)
def a_param_forwards_attributes() -> None:
    p = param()
    expect((p.shape, str(p.dtype), float(p.mean()), p.T.shape), ((3,), "float32", 1.0, (3,)))


@claim("a-sum-is-an-array", "`p + 1`, `1 - p`, `-p` and `p[0]` are arrays, not Params.", SEE)
def a_sum_is_an_array() -> None:
    p = param()
    calls = {"p + 1": lambda: p + 1, "1 - p": lambda: 1 - p, "-p": lambda: -p, "p[0]": lambda: p[0]}
    all_take(calls)


@claim(
    "equality-is-elementwise",
    "`p == q` compares the elements of two Params.",
    ASKED,
    instead="The truth value of an array with more than one element is ambiguous",
)
def equality_is_elementwise() -> None:
    elementwise(param() == nnx.Param(jnp.array([0.0, 5.0, 2.0])), [True, False, True])


@claim(
    "equality-with-an-array-is-elementwise", "`p == x` compares the elements of a Param with those of an array.", ASKED
)
def equality_with_an_array_is_elementwise() -> None:
    elementwise(param() == jnp.array([0.0, 5.0, 2.0]), [True, False, True])


@claim("inequality-raises", "`p != q` raises a ValueError for two Params of several elements.", ASKED)
def inequality_raises() -> None:
    p, q = param(), nnx.Param(jnp.array([0.0, 5.0, 2.0]))
    try:
        found = p != q
    except ValueError as error:
        expect("The truth value of an array with more than one element is ambiguous" in str(error), True)
        return
    differs(f"nothing is raised, it is {found if isinstance(found, bool) else np.asarray(found).tolist()}")


@claim(
    "a-variable-is-not-hashable",
    "`hash(p)` raises a TypeError: a Variable is no key of a dict.",
    "upgrading.md#flax-012",
)
def a_variable_is_not_hashable() -> None:
    raises(lambda: hash(param()), TypeError, "unhashable type")


@claim("float-and-int-take-a-variable", "`float(count)` and `int(count)` take a scalar Variable.", ASKED)
def float_and_int_take_a_variable() -> None:
    expect((float(scalar()), int(scalar())), (2.0, 2))


@claim("truth-of-a-variable-raises", "`if count:` raises a TypeError for a scalar Variable.", ASKED, ISSUE)
def truth_of_a_variable_raises() -> None:
    raises_at_zero(bool, "len() of unsized object")


@claim(
    "truth-of-a-variable-is-its-length",
    "`bool(v)` asks for the length: it is True for a Variable of `jnp.zeros(1)`, and False for `jnp.zeros(0)`.",
    ASKED,
)
def truth_of_a_variable_is_its_length() -> None:
    expect([bool(nnx.Variable(jnp.zeros(length))) for length in (1, 0)], [True, False])


@claim("order-of-a-variable-raises", "`count > 3` raises a TypeError for a Variable.", ASKED, ISSUE)
def order_of_a_variable_raises() -> None:
    raises_at_zero(lambda count: count > 3, "'>' not supported between instances of")


@claim("order-of-its-array", "`count[...] > 3` compares the array of a Variable.", ASKED)
def order_of_its_array() -> None:
    expect(bool(scalar(4.0)[...] > 3), True)


@claim("format-of-a-variable-raises", '`f"{count:.2f}"` raises a TypeError for a Variable.', ASKED, ISSUE)
def format_of_a_variable_raises() -> None:
    raises_at_zero(lambda count: f"{count:.2f}", "unsupported format string passed to")


@claim("format-of-its-array", '`f"{count[...]:.2f}"` formats the number of a scalar Variable.', ASKED)
def format_of_its_array() -> None:
    expect(f"{scalar()[...]:.2f}", "2.00")


@claim(
    "a-param-has-a-length",
    "`len(p)` is the length of the first axis of a Param, and a loop over it yields arrays.",
    SEE,
    instead="has no len()",
)
def a_param_has_a_length() -> None:
    p = param()
    expect((len(p), [float(read(element)) for element in p]), (3, [0.0, 1.0, 2.0]))


def elementwise(found: Any, wanted: list[bool]) -> None:
    if isinstance(found, bool):
        differs(f"it is {found}, one answer for all")
    expect(np.asarray(found).tolist(), wanted)


def raises_at_zero(ask: Callable[[Any], Any], text: str) -> None:
    """Go on where a question to a Variable of 0.0 raises a TypeError with a text."""
    try:
        answer = ask(scalar(0.0))
    except TypeError as error:
        expect(text in str(error), True)
        return
    differs(f"nothing is raised, and the answer is {answer}")
