"""Of several lines that may have made a value, the one that is named."""

from pathlib import Path

import pytest

from nnx_state.audit import table
from nnx_state.audit.lines import Place

SOURCE = """\
import dataclasses

import jax.numpy as jnp
from flax import nnx
from flax.nnx import data, static


def build():
    return nnx.Linear(1, 1, rngs=nnx.Rngs(0))


class Reset(nnx.Module):
    def reset(self):
        self.weight = nnx.Param(jnp.zeros(1))

    def __init__(self):
        self.weight = nnx.Param(jnp.ones(1))  # made


class Setup(nnx.Module):
    def reset(self):
        self.weight = nnx.Param(jnp.zeros(1))

    def __init__(self):
        self.setup()

    def setup(self):
        self.weight = nnx.Param(jnp.ones(1))  # made


@dataclasses.dataclass
class Data(nnx.Module):
    size: int = 1

    def reset(self):
        self.weight = nnx.Param(jnp.zeros(1))

    def __post_init__(self):
        self.weight = nnx.Param(jnp.ones(1))  # made


class Named(nnx.Module):
    def __init__(self, name="one", has_weight=True):
        setattr(self, name, nnx.Param(jnp.ones(1)))
        if has_weight:
            self.weight = nnx.Param(jnp.ones(1))  # made


class Kinds(nnx.Module):
    def __init__(self, is_trained=True):
        if not is_trained:
            self.weight = nnx.Variable(jnp.ones(1))
        else:
            self.weight = nnx.Param(jnp.ones(1))  # made


class Sized(nnx.Module):
    def __init__(self, size=2):
        if size == 1:
            self.size = 1  # one
        elif size == 2:
            self.size = 2  # two
        else:
            self.size = "many"  # many


class Late(nnx.Module):
    def __init__(self, is_there=True):
        self.weight = nnx.data(None)
        if is_there:
            self.weight = nnx.Param(jnp.ones(1))  # made


class Handed(nnx.Module):
    # its layer is made in one of several ways; the first line is the one that is taken where nothing tells
    def __init__(self, way, given=None):
        self.body = build()
        if way == "never":
            self.layer = nnx.BatchNorm(1, rngs=nnx.Rngs(0))
        elif way == "name":
            self.layer = given  # name
            self.mark = 1
        elif way == "call":
            self.layer = build()  # call
            self.mark = 2
        elif way == "attribute":
            self.layer = given.body  # attribute
            self.mark = 3
        if way == "alias":
            self.again = self.body  # alias
        else:
            self.again = nnx.Linear(1, 1, rngs=nnx.Rngs(0))  # own


class Wrapped(nnx.Module):
    def __init__(self, way):
        if way == "nnx.data":
            self.size = nnx.data(2.5)  # nnx.data
        elif way == "data":
            self.size = data(4.5)  # data
        elif way == "nnx.static":
            self.size = nnx.static(1)  # nnx.static
        elif way == "static":
            self.size = static(3)  # static
        else:
            self.size = "many"  # none


class Starred(nnx.Module):
    def __init__(self, others):
        self.layers = nnx.List([  # here
            *others,
            nnx.Linear(1, 1, rngs=nnx.Rngs(0)),
        ])
"""


@pytest.fixture
def module(written):
    return written("several", SOURCE)


@pytest.mark.parametrize("name", ["Reset", "Setup", "Data", "Named", "Kinds"])
def test_the_line_that_made_a_value_is_named(module, name):
    (place,) = [row.place for row in table(getattr(module, name)()) if row.path == "weight"]
    assert place.text.endswith("# made\n")


@pytest.mark.parametrize(("size", "said"), [(1, "one"), (2, "two"), (3, "many")])
def test_a_constant_has_the_line_that_says_it(module, size, said):
    (place,) = [row.place for row in table(module.Sized(size)) if row.path == "size"]
    assert place.text.endswith(f"# {said}\n")


@pytest.mark.parametrize("way", ["name", "call", "attribute"])
def test_a_layer_has_the_line_that_handed_it_on(module, way):
    given = module.Handed("call") if way == "attribute" else module.build()
    (place,) = [row.place for row in table(module.Handed(way, given)) if row.path == "layer.kernel"]
    assert place.text.endswith(f"# {way}\n")


@pytest.mark.parametrize(("way", "said"), [("alias", "alias"), ("call", "own")])
def test_a_layer_with_two_names_has_the_line_of_the_one_by_which_it_is_named(module, way, said):
    (place,) = [row.place for row in table(module.Handed(way)) if row.path == "again.kernel"]
    assert place.text.endswith(f"# {said}\n")


@pytest.mark.parametrize("way", ["nnx.data", "data", "nnx.static", "static", "none"])
def test_a_wrapper_is_seen_through(module, way):
    (place,) = [row.place for row in table(module.Wrapped(way)) if row.path == "size"]
    assert place.text.endswith(f"# {way}\n")


def test_the_items_of_a_list_that_takes_in_another_have_its_line(module):
    places = {row.path: row.place for row in table(module.Starred([module.build()]))}
    assert all(places[f"layers.{item}.kernel"].text.endswith("# here\n") for item in range(2))


def test_a_constant_is_the_last_that_can_have_made_an_array(module):
    model = module.Late()
    model.weight = module.nnx.Cache(module.jnp.ones(1))  # from outside, of a type that no line makes
    (place,) = [row.place for row in table(model) if row.path == "weight"]
    assert place.text.endswith("# made\n")


def test_a_place_is_named_as_from_here_and_sorts_by_file_and_line(tmp_path):
    here, elsewhere = Place(str(Path.cwd() / "a" / "net.py"), 12), Place(str(tmp_path / "net.py"), 2)
    assert str(here) == f"{Path('a', 'net.py')}:12"
    assert here.shown == str(Path("a", "net.py"))
    assert str(elsewhere) == f"{tmp_path / 'net.py'}:2"
    assert sorted([Place("b", 1), Place("a", 12), Place("a", 2)]) == [Place("a", 2), Place("a", 12), Place("b", 1)]
    assert len({Place("a", 1), Place("a", 1)}) == 1
