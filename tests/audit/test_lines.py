"""The line that made a value, in every way in which a class may assign it."""

import pytest

from nnx_state.audit import table

SOURCE = """\
import dataclasses

import jax.numpy as jnp
from flax import nnx


class Base(nnx.Module):
    def __init__(self):
        self.inherited = nnx.Param(jnp.ones(1))


class Net(Base):
    def __init__(self, bias=True):
        super().__init__()
        if not bias:
            self.bias = None
        else:
            self.bias = nnx.Param(jnp.ones(1))
        self.wrapped = nnx.data(None)
        if bias:
            self.wrapped = nnx.Param(jnp.ones(1))
        self.left, self.right = nnx.Param(jnp.ones(1)), nnx.Variable(jnp.ones(1))
        self.annotated: nnx.Param = nnx.Param(jnp.ones(1))
        setattr(self, "named", nnx.Param(jnp.ones(1)))
        for number in range(2):
            setattr(self, f"made{number}", nnx.Param(jnp.ones(1)))
        self.layers = nnx.List([
            nnx.Linear(1, 1, rngs=nnx.Rngs(0)),
            nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(1)),
        ])
        self.chain = nnx.Sequential(
            nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(0)),
            nnx.relu,
            nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(1)),
        )
        self.parts = nnx.Dict(
            one=nnx.Param(jnp.ones(1)),
            two=nnx.Param(jnp.ones(1)),
            three=nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(0)),
        )
        self.alone = nnx.Sequential(
            nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(2)),
        )
        self.many = nnx.List([nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(n)) for n in range(2)])
        self.comprehended = nnx.List(
            [nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(n)) for n in range(2)]
        )
        self.dropout = nnx.Dropout(
            0.5,
            rngs=nnx.Rngs(0),
        )
        self.tied = self.layers[0].kernel
        self.helped()

    def helped(self):
        self.later = nnx.BatchStat(jnp.ones(1))


class Branches(nnx.Module):
    def __init__(self, is_small, is_shared):
        self.first = nnx.Linear(1, 1, rngs=nnx.Rngs(0))
        if is_small:
            self.layer = nnx.Linear(1, 1, rngs=nnx.Rngs(1))  # small
            self.rest = nnx.data(None)
        else:
            self.layer = nnx.Linear(1, 1, rngs=nnx.Rngs(2))  # large
            self.rest = nnx.Linear(1, 1, rngs=nnx.Rngs(3))
        if is_shared:
            self.other = self.first
        else:
            self.other = nnx.Linear(1, 1, rngs=nnx.Rngs(4))  # other


class Deep(nnx.Module):
    bias = nnx.Param(jnp.ones(1))

    def __init__(self, is_chain, is_own=False):
        if is_chain:
            self.net = nnx.Sequential(nnx.Linear(1, 1, rngs=nnx.Rngs(0)))  # chain
        else:
            self.net = nnx.List([nnx.Linear(1, 1, rngs=nnx.Rngs(0))])  # list
        if is_own:
            self.bias = nnx.BatchStat(jnp.ones(1))


@dataclasses.dataclass
class Data(nnx.Module):
    field: nnx.Param = dataclasses.field(default_factory=lambda: nnx.Param(jnp.ones(1)))

    def __call__(self, x):
        self.field += 1
        return x
"""
LINES = {
    "inherited": "self.inherited",
    "bias": "self.bias = nnx.Param",
    "wrapped": "self.wrapped = nnx.Param",
    "left": "self.left, self.right",
    "right": "self.left, self.right",
    "annotated": "self.annotated",
    "named": '"named"',
    "made0": 'f"made{number}"',
    "made1": 'f"made{number}"',
    "layers.0.kernel": "nnx.Linear(1, 1, rngs=nnx.Rngs(0)),",
    "layers.0.bias": "nnx.Linear(1, 1, rngs=nnx.Rngs(0)),",
    "layers.1.kernel": "nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(1)),",
    "many.1.kernel": "self.many",
    "comprehended.0.kernel": "self.comprehended",
    "comprehended.1.kernel": "self.comprehended",
    "dropout.rngs.key": "self.dropout",
    "later": "self.later",
    "parts.one": "one=nnx.Param",
    "parts.two": "two=nnx.Param",
    "parts.three.kernel": "three=nnx.Linear",
    "alone.layers.0.kernel": "nnx.Linear(1, 1, use_bias=False, rngs=nnx.Rngs(2)),",
}


@pytest.fixture
def module(written):
    return written("a_net", SOURCE)


def test_each_line_is_the_one_that_made_the_value(module):
    found = {row.path: row.place for row in table(module.Net())}
    for path, text in LINES.items():
        assert text in found[path].text, path


@pytest.mark.parametrize("is_small", [True, False])
@pytest.mark.parametrize("is_shared", [True, False])
def test_of_two_branches_the_one_that_ran_is_named(module, is_small, is_shared):
    """What else a branch assigns tells whether it ran."""
    texts = {row.path: row.place.text for row in table(module.Branches(is_small, is_shared))}
    assert texts["layer.kernel"].endswith("# small\n" if is_small else "# large\n")
    assert ("other.kernel" in texts) is not is_shared
    assert is_shared or texts["other.kernel"].endswith("# other\n")


@pytest.mark.parametrize(("is_chain", "path"), [(True, "net.layers.0.kernel"), (False, "net.0.kernel")])
def test_what_stands_deep_in_a_branch_has_the_line_of_what_was_assigned_there(module, is_chain, path):
    (row,) = [row for row in table(module.Deep(is_chain)) if row.path == path]
    assert row.place.text.endswith("# chain\n" if is_chain else "# list\n")


def test_what_a_class_holds_has_the_line_of_the_class_and_not_of_what_could_hide_it(module):
    (row,) = [row for row in table(module.Deep(True)) if row.path == "bias"]
    assert (row.home, row.place.text.strip()) == ("hidden", "bias = nnx.Param(jnp.ones(1))")


def test_an_item_of_a_sequence_has_its_own_line(module):
    rows = {row.path: row.place.line for row in table(module.Net()) if row.place}
    chained = [line for path, line in rows.items() if path.startswith("chain") and path.endswith("kernel")]
    first = SOURCE.splitlines().index("        self.chain = nnx.Sequential(") + 1
    assert chained == [first + 1, first + 3]


def test_a_field_of_a_dataclass_is_found(module):
    (row,) = [row for row in table(module.Data()) if row.path == "field"]
    assert "field: nnx.Param" in row.place.text


def test_what_is_put_in_from_outside_has_no_line(module):
    model = module.Net()
    del model.inherited
    model.stranger = module.nnx.Param(module.jnp.ones(1))
    places = {row.path: row.place for row in table(model)}
    assert places["stranger"] is None


def test_a_tied_variable_has_one_row_and_names_its_other_path(module):
    (row,) = [row for row in table(module.Net()) if row.path == "layers.0.kernel"]
    assert row.also == ("tied",)


def test_a_class_without_a_source_has_no_lines(module):
    made = type("Made", (module.nnx.Module,), {"__module__": "nowhere", "__doc__": "It stands in no file."})()
    made.weight = module.nnx.Param(module.jnp.ones(1))
    (row,) = [row for row in table(made) if row.path == "weight"]
    assert row.place is None
