"""The audit leaves alone what is right: every layer of Flax, and every model of this site."""

import ast
from pathlib import Path

import jax.numpy as jnp
import pytest
from flax import nnx

from nnx_state import (
    MLP,
    CallCounter,
    Linear,
    LoRALinear,
    MultiParam,
    Noise,
    RunningNorm,
    Stack,
)
from nnx_state.audit import audit
from nnx_state.audit.rules import ERROR, RULES, WARNING
from workshop.pages import read

PAGE = Path(__file__).parents[2] / "docs/lessons/layer-state.md"
X = jnp.ones((3, 4))
OURS = {
    "MLP": (lambda: MLP(4, 3, 2, rngs=nnx.Rngs(0)), (X,)),
    "CallCounter": (lambda: CallCounter(Linear(4, 2, rngs=nnx.Rngs(0))), (X,)),
    "Linear": (lambda: Linear(4, 2, rngs=nnx.Rngs(0)), (X,)),
    "LoRALinear": (lambda: LoRALinear(nnx.Linear(4, 2, rngs=nnx.Rngs(0)), 2, rngs=nnx.Rngs(1)), (X,)),
    "MultiParam": (lambda: MultiParam(4, 2, rngs=nnx.Rngs(0)), (X,)),
    "Noise": (lambda: Noise(0.1, rngs=nnx.Rngs(0)), (X,)),
    "RunningNorm": (lambda: RunningNorm(4), (X,)),
    "Stack": (lambda: Stack(lambda rngs: nnx.Linear(4, 4, rngs=rngs), 3, rngs=nnx.Rngs(0)), (X,)),
}


class Holder(nnx.Module):
    """A layer, called as the lesson calls it."""

    def __init__(self, layer, call):
        self.layer = layer
        self.call = call

    def __call__(self):
        return self.call(self.layer)


@pytest.fixture(scope="module")
def layers():
    """Return what the lesson makes of each layer of Flax, and how it calls one; it asserts that none is missing."""
    names = {}
    for block in read(PAGE):
        if "made = {" in block.code or names.get("made") or "import" in block.code:
            tree = ast.parse(block.code)
            tree.body = [node for node in tree.body if not isinstance(node, ast.For | ast.Expr)]  # it measures by these
            exec(compile(tree, str(PAGE), "exec"), names)
        if "call" in names and "made" in names:
            return names["made"], names["call"]
    raise AssertionError("docs/lessons/layer-state.md makes and calls no layers any more")


def test_every_layer_of_flax_is_left_alone(layers):
    made, call = layers
    assert len(made) > 20
    sure = [name for name, rule in RULES.items() if rule.severity in (ERROR, WARNING)]
    found = {}
    for name, make in made.items():
        report = audit(Holder(make(), call), inputs=(), select=sure)
        if report.findings:
            found[name] = [(one.rule, one.path) for one in report.findings]
    assert found == {}


@pytest.mark.parametrize("name", OURS)
def test_every_model_of_this_site_is_left_alone(name):
    make, inputs = OURS[name]
    assert audit(make(), inputs=inputs).findings == []


class Filter(nnx.Module):
    """A layer with a stencil, which is written out."""

    def __init__(self):
        self.kernel = jnp.array([1.0, -2.0, 1.0])
        self.scale = jnp.ones(3)


def test_a_stencil_is_no_weight_and_a_fill_is_one():
    assert [(one.rule, one.path) for one in audit(Filter()).findings] == [("plain-weight", "scale")]


class Masked(nnx.Module):
    """A Dropout without a stream, behind another attribute that is None, and a Param in a list that is hidden."""

    def __init__(self, rngs):
        self.bias = None
        self.dropout = nnx.Dropout(0.5)
        self.layers = nnx.List([nnx.Linear(2, 2, rngs=rngs)])
        kernel = nnx.Param(jnp.ones(2))
        self.layers[0].bias_init = lambda: kernel


def test_a_dropout_is_found_behind_another_none():
    report = audit(Masked(nnx.Rngs(0)), select=["dropout-alone"])
    assert [(one.path, one.place.text.strip()) for one in report.findings] == [
        ("dropout.rngs", "self.dropout = nnx.Dropout(0.5)")
    ]


def test_what_is_hidden_in_a_layer_of_a_list_has_the_line_of_the_list():
    (found,) = audit(Masked(nnx.Rngs(0))).findings
    assert (found.path, found.place.text.split(" = ")[0].strip()) == ("layers.0.bias_init.kernel", "self.layers")
