"""What becomes of a value, compared with the library itself, and the home of every value of a module."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from nnx_state import Buffer, fates, kinds

ONES = jnp.ones(2)
LEAF = {"state": "yes", "eval_shape": "shape", "Orbax": "yes", "nnx.jit": "yes", "retrace": "no", "jax.jit": "no"}
PARAM = {**LEAF, "split": "Param", "nnx.grad": "yes", "jax.grad": "yes", "AdamW": "yes"}
VARIABLE = {**LEAF, "split": "Variable", "nnx.grad": "no", "jax.grad": "yes", "AdamW": "no"}
ARRAY = {**VARIABLE, "split": "rest"}
STATIC = dict.fromkeys(LEAF, "no") | {"nnx.jit": "yes", "retrace": "yes", "eval_shape": "value", "split": "graph"}
STATIC |= dict.fromkeys(["nnx.grad", "jax.grad", "AdamW"], "no")
NO_SLOPE = {"jax.grad": "raises"}


class Adapter(nnx.Param):
    """A Param of another name."""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (nnx.Param(ONES), PARAM),
        (Adapter(ONES), PARAM),
        (nnx.Param(jnp.ones((2, 1), jnp.bfloat16)), PARAM),
        (nnx.Param(jnp.ones(2, complex)), PARAM),
        (nnx.Param(jnp.zeros(2)), PARAM),
        (nnx.Param(jnp.array(jnp.nan)), PARAM),
        (nnx.Param(jnp.array(1e30)), PARAM),
        (nnx.Param(jnp.zeros((), jnp.int32)), PARAM | NO_SLOPE | {"nnx.grad": "raises", "AdamW": "raises"}),
        (nnx.Variable(ONES), VARIABLE),
        (nnx.Variable(3.0), VARIABLE),
        (nnx.Variable({"a": ONES}), VARIABLE),
        (nnx.Variable(jnp.zeros((), jnp.int32)), VARIABLE | NO_SLOPE),
        (nnx.Variable(jnp.ones(2, bool)), VARIABLE | NO_SLOPE),
        (nnx.RngKey(jax.random.key(0), tag="default"), VARIABLE | NO_SLOPE),
        (Buffer(ONES), VARIABLE),
        (nnx.BatchStat(ONES), VARIABLE),
        (ONES, ARRAY),
        (np.ones(2, np.float32), ARRAY),
        (nnx.data(ONES), ARRAY),
        (nnx.data(1.5), ARRAY),
        (nnx.data(2), ARRAY | NO_SLOPE),
        (1.5, STATIC),
        (0, STATIC),
        (2**70, STATIC),
        (True, STATIC),
        (np.float32(1), STATIC),
        ("relu", STATIC),
        ("", STATIC),
    ],
)
def test_the_fate_follows_from_the_home(value, expected):
    assert fates(value) == expected


def test_the_value_itself_is_not_changed():
    variable = nnx.Param(jnp.array([2.0, 3.0]), note="kept")
    fates(variable)
    assert (variable[...] == jnp.array([2.0, 3.0])).all()
    assert variable.get_metadata("note") == "kept"


def test_the_operations_come_in_order():
    order = "state split eval_shape Orbax nnx.grad jax.grad AdamW nnx.jit retrace jax.jit"
    assert list(fates(1)) == order.split()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (nnx.Linear(4, 2, rngs=nnx.Rngs(0)), "Linear"),
        ((2, 3), "tuple"),
        (None, "NoneType"),
        (jnp.float32, "_ScalarMeta"),
        (jnp.zeros((0, 2)), "ArrayImpl"),
        (nnx.Param(np.ones(0)), "Param"),
        (nnx.Variable({"a": ONES, "b": ONES}), "Variable"),
        (nnx.Variable(ONES, ref=True), "Variable"),
        (nnx.Variable(ONES, hijax=True), "HijaxVariable"),
    ],
)
def test_what_has_no_answer_is_refused(value, name):
    with pytest.raises(TypeError) as caught:
        fates(value)
    assert str(caught.value) == (
        f"value must hold one array that is not empty, one number or one string, got {name}: "
        "ask about the attributes of a module one by one."
    )


class Deep(nnx.Module):
    """Every home, in a list, in a dict and in a submodule, with a tie and a module held twice."""

    def __init__(self):
        self.layers = nnx.List([nnx.Dict(kernel=nnx.Param(ONES), width=2), jnp.tanh])
        self.again = self.layers[0]
        self.tied = self.layers[0].kernel
        self.options = nnx.Dict(rate=nnx.data(0.5), buffer=Buffer(ONES))
        self.arrays = nnx.data([ONES, np.ones(1)])
        self.tree = nnx.Variable({"a": ONES})
        self.shape = (2, (3, 4))
        self.names = {"a": "b"}
        self.nothing = None
        self._length = 7


def test_every_value_has_a_home():
    homes = kinds(Deep())
    assert homes == {
        "again.kernel": "Param",
        "arrays.0": "array",
        "arrays.1": "array",
        "options.buffer": "Buffer",
        "options.rate": "array",
        "tree": "Variable",
        "_length": "static",
        "again.width": "static",
        "layers.1": "static",
        "names": "static",
        "nothing": "static",
        "shape": "static",
    }


HOMES = {
    "Param": nnx.Param,
    "Variable": nnx.Variable,
    "Buffer": Buffer,
    "array": lambda array: array,
    "static": lambda array: "text",
}


@settings(deadline=None, max_examples=30)
@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(sorted(HOMES))))
def test_the_leaves_are_those_of_the_state_in_its_order(names):
    model = nnx.Dict({name: HOMES[home](ONES) for name, home in names.items()})
    homes = kinds(nnx.Dict(inner=model))
    assert homes == {f"inner.{name}": home for name, home in names.items()}
    leaves = [path for path, home in homes.items() if home != "static"]
    assert leaves == [".".join(path) for path, _ in nnx.to_flat_state(nnx.state(nnx.Dict(inner=model)))]
    assert list(homes)[: len(leaves)] == leaves


def test_a_module_without_values_has_no_homes():
    assert kinds(nnx.Module()) == {}


@pytest.mark.parametrize(
    ("model", "name"), [(ONES, "ArrayImpl"), (nnx.Param(ONES), "Param"), (nnx.Linear, "ModuleMeta")]
)
def test_only_a_module_has_homes(model, name):
    with pytest.raises(TypeError) as caught:
        kinds(model)
    assert str(caught.value) == f"model must be an nnx.Module, got {name}: pass the module that has the value."
