"""What is named on the command line: how it is loaded, and what is said where it cannot be."""

import sys

import equinox
import flax.linen
import jax.numpy as jnp
import pytest
from flax import nnx

from nnx_state._outcome import RefusedError
from nnx_state.audit import targets

SOURCE = """\
import jax.numpy as jnp
import optax
from flax import nnx


class Net(nnx.Module):
    def __init__(self):
        self.w = nnx.Param(jnp.ones(2))

    def __call__(self, x):
        return x


class Names:
    net = Net()


def wants(size):
    return Net()


def raises():
    raise ValueError("no size")


def ends():
    raise SystemExit(3)


def optimizer():
    return nnx.Optimizer(Net(), optax.adam(0.1), wrt=nnx.Param)


def with_model():
    return nnx.ModelAndOptimizer(Net(), optax.adam(0.1))


one, many, named = jnp.ones(1), (1, 2), {"x": 1}
made = optimizer()
number = 3
"""
HOW = "write `package.module:callable` or `file.py:callable`."
SHAPES = "write `package.module:callable` or `file.py:callable`, or shapes such as `float32[4, 3]`, or `()` for none."


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a module, where someone is."""
    (tmp_path / "aimed.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("from . import nothing\n")
    (tmp_path / "bad.txt.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    targets.from_file.cache_clear()
    for name in ("aimed", "broken", "bad.txt"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("place", ["aimed", "aimed.py"])
def test_a_model_is_made_or_is_there(place):
    assert type(targets.model(f"{place}:Net")).__name__ == "Net"
    net = targets.model(f"{place}:Names.net")
    assert net is targets.model(f"{place}:Names.net")  # it can be called too, and is not


def test_inputs_are_a_tuple_or_keywords():
    assert targets.inputs("aimed:many") == (1, 2)
    assert targets.inputs("aimed:named") == {"x": 1}
    (one,) = targets.inputs("aimed:one")
    assert one.tolist() == [1]


def test_inputs_may_be_shapes():
    said = targets.inputs("float32[4, 30], int32[] bool[2]")
    assert [(one.shape, str(one.dtype)) for one in said] == [((4, 30), "float32"), ((), "int32"), ((2,), "bool")]
    with pytest.raises(RefusedError) as raised:
        targets.inputs("flot32[4]")
    assert str(raised.value) == "flot32[4]: there is no dtype flot32; write a shape as in `float32[4, 3]`."


def test_an_optimizer_may_be_there_or_made_or_wait_for_the_model():
    assert isinstance(targets.optimizer("aimed:made"), nnx.Optimizer)
    assert isinstance(targets.optimizer("aimed:optimizer"), nnx.Optimizer)
    assert targets.optimizer("aimed:wants").__name__ == "wants"
    assert targets.optimizer("aimed:number") == 3


def test_a_plain_target_is_what_it_names():
    assert targets.plain("aimed:raises").__name__ == "raises"
    assert targets.plain("orbax") == "orbax"


@pytest.mark.parametrize(
    ("load", "target", "said"),
    [
        (targets.model, "aimed", f"aimed names no object: {HOW}"),
        (targets.inputs, "float32[4] X", f"float32[4] X says no inputs: {SHAPES}"),
        (targets.model, ":Net", f":Net names no object: {HOW}"),
        (targets.model, "aimed:", f"aimed: names no object: {HOW}"),
        (targets.model, "aimed:Nothing", f"aimed has no Nothing: {HOW}"),
        (targets.model, "aimed:Names.nothing", f"aimed has no Names.nothing: {HOW}"),
        (
            targets.inputs,
            "unwritten:Net",
            "unwritten:Net could not be imported: ModuleNotFoundError: No module named 'unwritten'.",
        ),
        (
            targets.plain,
            "broken.py:Net",
            "broken.py:Net could not be imported: ImportError: attempted relative import with no known parent package. "
            "A file of a package is named `package.module:callable`.",
        ),
        (
            targets.inputs,
            "net[3]:x",
            "net[3]:x could not be imported: ModuleNotFoundError: No module named 'net[3]'.",
        ),
        (targets.plain, "bad.txt.py:x", "bad.txt.py:x could not be imported: SystemExit: ."),
        (
            targets.model,
            "aimed:wants",
            "aimed:wants could not be called: TypeError: wants() missing 1 required positional argument: 'size'. Name "
            "a function that needs no arguments.",
        ),
        (targets.model, "aimed:raises", "aimed:raises could not be called: ValueError: no size."),
        (targets.model, "aimed:ends", "aimed:ends could not be called: SystemExit: 3."),
        (
            targets.model,
            "aimed:number",
            "aimed:number is an object of int: the audit reads an nnx.Module, or a callable that makes one.",
        ),
        (
            targets.optimizer,
            "aimed:with_model",
            "aimed:with_model makes an optimizer of a model of its own: name a function that takes the model.",
        ),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_message(load, target, said):
    with pytest.raises(RefusedError) as raised:
        load(target)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (flax.linen.Dense(1), "a model of Flax Linen"),
        (equinox.nn.Identity(), "a model of Equinox"),
        (type("Linear", (), {"__module__": "torch.nn"})(), "a model of PyTorch"),
        (jnp, "an object of module"),
    ],
)
def test_a_model_of_another_library_is_known(found, said):
    assert targets._described(found) == said


def test_a_file_is_found_from_here_or_where_modules_are(folder, monkeypatch, tmp_path_factory):
    monkeypatch.setattr(sys, "path", [])
    assert targets._found("aimed.py") == folder / "aimed.py"
    here = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(here)
    sys.path.append("first")
    targets.search(folder)
    targets.search(folder)
    assert sys.path == [str(folder), "first"]
    assert targets._found("aimed.py") == folder / "aimed.py"
    assert targets._found("nowhere.py") == here / "nowhere.py"


def test_a_file_is_one_module_and_finds_those_beside_it(folder):
    (folder / "below").mkdir()
    (folder / "below" / "aimed.py").write_text("import beside_aimed\n")
    (folder / "below" / "beside_aimed.py").write_text("")
    assert targets.plain("below/aimed.py:beside_aimed").__name__ == "beside_aimed"
    del sys.modules["beside_aimed"]
    assert sys.path[0] == str(folder / "below")
    assert targets.from_file(folder / "below" / "aimed.py") is targets.from_file(folder / "below" / "aimed.py")
    with pytest.raises(
        RefusedError, match=r"^nowhere\.py:Net could not be imported: FileNotFoundError: .+nowhere\.py'\.$"
    ):
        targets.model("nowhere.py:Net")
    with pytest.raises(ImportError) as refused:
        targets.from_file(folder / "aimed.txt")
    assert str(refused.value) == f"{folder / 'aimed.txt'} is no Python file"
