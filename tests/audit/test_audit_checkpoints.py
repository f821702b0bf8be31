"""What the audit finds in a save and a restore, and what it leaves alone."""

import logging
import pickle
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy
import optax
import pytest
from flax import nnx

from nnx_state import Scratch, differences, persistent_state, restore_checkpoint, save_checkpoint
from nnx_state.audit import audit, saving
from nnx_state.audit.rules import RULES


class Net(nnx.Module):
    def __init__(self, rngs):
        self.body = nnx.Linear(2, 2, rngs=rngs)
        self.norm = nnx.BatchNorm(2, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(2, 2, use_bias=False, rngs=rngs)
        self.count = nnx.Variable(jnp.array(0))
        self.grid = jnp.linspace(0.0, 1.0, 2)
        self.last = Scratch(jnp.zeros(2))

    def __call__(self, x):
        self.count[...] += 1
        return self.head(self.drop(self.norm(self.body(x)))) + self.grid


def make_optimizer(model):
    return nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)


def written(state, folder):
    pure = jax.tree.map(lambda array: jax.random.key_data(array) if is_key(array) else array, nnx.to_pure_dict(state))
    Path(folder, "state").write_bytes(pickle.dumps(jax.device_get(pure)))


def is_key(array):
    return jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def read(state, folder):
    pure = pickle.loads(Path(folder, "state").read_bytes())
    target = nnx.to_pure_dict(state)
    nnx.replace_by_pure_dict(state, jax.tree.map(as_it_was, target, pure))
    return state


def as_it_was(old, new):
    return jax.random.wrap_key_data(new) if is_key(old) else jnp.asarray(new)


def pair(kept):
    """Return a save and a restore of the leaves that a filter keeps."""

    def save(model, folder):
        written(nnx.state(model, kept), folder)

    def restore(model, folder):
        nnx.update(model, read(nnx.state(model, kept), folder))

    return {"save": save, "restore": restore}


def found(model, **arguments):
    report = audit(model, select=["save-forgets", "lost-in-checkpoint"], **arguments)
    return [(one.rule, one.path) for one in report.findings]


def forgotten(*paths):
    return [("save-forgets", path) for path in paths]


@pytest.mark.parametrize(
    ("kept", "paths"),
    [
        (nnx.Param, ["norm.mean", "norm.var", "drop.rngs.count", "count", "grid"]),
        (nnx.Variable, ["grid"]),
        (nnx.Not(nnx.RngState), ["drop.rngs.count"]),
        (nnx.Not(nnx.RngKey), []),
        (nnx.Not(Scratch), []),
        (..., []),
    ],
    ids=["Params", "Variables", "no streams", "no keys", "no scratch", "all"],
)
def test_exactly_what_is_left_out_is_found(kept, paths):
    assert found(Net(nnx.Rngs(0)), **pair(kept)) == forgotten(*paths)


def test_an_optimizer_that_is_not_saved_is_one_finding():
    (one,) = audit(Net(nnx.Rngs(0)), optimizer=make_optimizer, select=["save-forgets"], **pair(...)).findings
    assert (one.path, one.what, one.write) == (
        "optimizer.wrt",
        # the step, the count of Adam, and two moments of the five Params
        "an optimizer of which nothing comes back: its 12 leaves, moments and counts, begin anew in a resumed run.",
        "`nnx.state(optimizer)` into the checkpoint, beside the state of the model.",
    )


@pytest.mark.parametrize(
    ("path", "whose"), [("count", "its number is as before it"), ("norm.mean", "its 2 numbers are as before it")]
)
def test_what_is_forgotten_is_counted(path, whose):
    (one,) = [one for one in audit(Net(nnx.Rngs(0)), **pair(nnx.Param)).findings if one.path == path]
    assert one.what == f"a leaf that your save forgets: after the restore {whose}, and not as saved."


def save_run(model, optimizer, folder):
    save_checkpoint(folder, 0, model=model, optimizer=optimizer)


def restore_run(model, optimizer, folder):
    restore_checkpoint(folder, model=model, optimizer=optimizer)


def restore_without(part):
    """Return a restore that leaves out the paths with a part."""

    def restore(model, optimizer, folder):
        restore_checkpoint(folder, model=model, optimizer=optimizer, skip=nnx.PathContains(part))

    return restore


def test_the_first_leaf_of_an_optimizer_is_asked_for_too():
    restore = restore_without("count")
    found_here = found(Net(nnx.Rngs(0)), optimizer=make_optimizer, save=save_run, restore=restore)
    assert ("save-forgets", "optimizer.opt_state.0.count") in found_here


def test_functions_that_take_the_optimizer_get_it():
    model = Net(nnx.Rngs(0))
    assert found(model, optimizer=make_optimizer, save=save_run, restore=restore_run) == []
    found_here = found(model, optimizer=make_optimizer, save=save_run, restore=restore_without("step"))
    assert found_here == forgotten("optimizer.step")


def build_anew(folder):
    model = Net(nnx.Rngs(1))
    nnx.update(model, read(nnx.state(model, nnx.Param), folder))
    return model


def return_a_state(model, folder):
    return read(nnx.state(model), folder)


def test_a_restore_may_build_the_model_or_return_a_state():
    model = Net(nnx.Rngs(0))
    params = pair(nnx.Param)["save"]
    # the stream is a new one, so that its count is left alone
    assert found(model, save=params, restore=build_anew) == forgotten("norm.mean", "norm.var", "count", "grid")
    assert found(model, save=pair(...)["save"], restore=return_a_state) == []


def halved(model, folder):
    state = jax.tree.map(lambda a: a.astype(jnp.bfloat16).astype(a.dtype), nnx.state(model, nnx.Param))
    written(state, folder)


def swapped(model, folder):
    nnx.update(model, read(nnx.state(model, nnx.Param), folder))
    model.norm.scale[...], model.norm.bias[...] = model.norm.bias[...], model.norm.scale[...]


def turned(model, folder):
    nnx.update(model, read(nnx.state(model, nnx.Param), folder))
    model.head.kernel = nnx.Variable(model.head.kernel[...])


def test_what_comes_back_changed_is_said():
    model = Net(nnx.Rngs(0))
    said = {}
    for name, save, restore in (
        ("halved", halved, pair(nnx.Param)["restore"]),
        ("swapped", pair(nnx.Param)["save"], swapped),
        ("turned", pair(nnx.Param)["save"], turned),
    ):
        report = audit(model, save=save, restore=restore, select=["save-forgets"])
        said[name] = {one.path: one.what for one in report.findings}
        advice = {one.write for one in report.findings if "forgets" not in one.what}
        assert advice == {"the leaf as it is into the checkpoint, under its own path and in its own dtype."}
    assert "comes back with 4 of 4 numbers changed" in said["halved"]["body.kernel"]
    assert "comes back with the numbers of `norm.bias`" in said["swapped"]["norm.scale"]
    assert "comes back as Variable float32[2, 2], not Param float32[2, 2]" in said["turned"]["head.kernel"]


class Plain(nnx.Module):
    """Leaves of each kind of number, in and out of arrays."""

    def __init__(self):
        self.weight = nnx.Param(jnp.ones(2))
        self.flag = nnx.Variable(True)
        self.flags = nnx.Variable(jnp.array([True, False]))
        self.number = nnx.Variable(3)
        self.numbers = nnx.Variable(jnp.array([1, 2]))
        self.share = nnx.Variable(0.5)
        self.turns = nnx.Variable(jnp.ones(2, jnp.complex64))


def test_a_forgotten_leaf_is_found_whatever_its_numbers_are():
    paths = ("flag", "flags", "number", "numbers", "share", "turns")
    assert sorted(found(Plain(), **pair(nnx.Param))) == sorted(forgotten(*paths))


def test_a_save_gets_other_numbers_in_each_leaf_and_the_same_in_each_run():
    kept = []

    def keep(model, folder):
        kept.append(nnx.clone(nnx.state(model), arrays=True))

    def put_back(model, folder):
        nnx.update(model, kept[-1])

    for _ in range(2):
        assert found(Plain(), save=keep, restore=put_back) == []
    assert not differences(*kept)
    assert differences(Plain(), kept[0]).keys() == vars(Plain()).keys() - vars(nnx.Module()).keys()


def altered(model, folder):
    """Restore a model in which leaves are missing, are abstract, or have a class of another place."""
    pair(...)["restore"](model, folder)
    del model.count
    model.grid = jax.ShapeDtypeStruct((2,), jnp.float32)
    model.body.bias = type("Param", (nnx.Param,), {})(model.body.bias[...])
    return model


def test_a_leaf_that_is_not_there_any_more_is_said():
    report = audit(Net(nnx.Rngs(0)), save=pair(...)["save"], restore=altered, select=["save-forgets"])
    assert {one.path: one.what for one in report.findings} == {
        "body.bias": "a leaf that comes back as a Param of another class of this name, after your save and restore.",
        "count": "a leaf that does not come back at all, after your save and restore.",
        "grid": "a leaf that comes back without numbers, after your save and restore.",
    }


def test_what_orbax_changes_is_said(monkeypatch):
    """None that is installed does, of what it saves."""

    def changing(tree):
        return {path: value.astype(jnp.float32) if path == "half" else value for path, value in tree.items()}

    monkeypatch.setattr(saving, "_through_orbax", changing)
    model = nnx.Dict(half=nnx.Param(jnp.ones(2, jnp.bfloat16)), other=nnx.Variable(jnp.ones(1)))
    (one,) = audit(model, save="orbax", select=["lost-in-checkpoint"]).findings
    what = "a leaf that comes back as array float32[1], not array bfloat16[1] after a round trip through Orbax."
    assert (one.path, one.what, one.write) == ("half", what, "a dtype that Orbax keeps.")


def test_orbax_keeps_what_this_site_teaches():
    model = Net(nnx.Rngs(0))
    model.small = nnx.Variable(jnp.ones(2, jnp.float8_e5m2))
    model.half = nnx.Param(jnp.ones(2, jnp.bfloat16))
    model.number = nnx.Variable(3)
    model.rbg = nnx.Rngs(jax.random.key(0, impl="rbg"))
    assert found(model, optimizer=make_optimizer, save="orbax") == []


def test_orbax_refuses_a_leaf_and_the_audit_names_it():
    model = Net(nnx.Rngs(0))
    model.empty = nnx.Variable(jnp.zeros((0, 2)))
    report = audit(model, save="orbax", select=["lost-in-checkpoint"])
    assert [one.path for one in report.findings] == ["empty"]
    assert "zero size" in report.findings[0].what


def test_the_model_stays_and_two_audits_say_the_same():
    model = Net(nnx.Rngs(0))
    before = nnx.clone(model)
    first, second = (audit(model, select=RULES, **pair(nnx.Param)).to_json() for _ in range(2))
    assert first == second
    assert not differences(before, model)
    assert persistent_state(model)


def donating(model, folder):
    doubled = jax.jit(lambda state: jax.tree.map(lambda array: 2 * array, state), donate_argnums=0)
    nnx.update(model, doubled(nnx.state(model, nnx.Param)))


def test_what_a_save_or_a_restore_donates_is_that_of_copies():
    model = Net(nnx.Rngs(0))
    before = nnx.clone(model, arrays=True)
    audit(model, save=donating, restore=donating)
    assert not differences(before, model)


def raising(model, folder):
    raise OSError("the disk is full")


def returning(model, folder):
    return 3


RETURNS = (
    "restore returns an object of int: let it write into the model, or return a model, a State, or a tuple of one for "
    "the model and one for the optimizer"
)
FUNCTIONS = (
    "save and restore must be two functions, or save='orbax' alone, got … and …: write save(model, folder) and "
    "restore(model, folder)."
)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"save": raising}, FUNCTIONS.replace("…", "<function raising at …>", 1)),
        ({"save": "torch"}, FUNCTIONS.replace("…", "'torch'", 1).replace("…", "None")),
        ({"restore": raising}, FUNCTIONS.replace("…", "None", 1)),
        ({"save": "orbax", "restore": raising}, FUNCTIONS.replace("…", "'orbax'", 1)),
        ({"save": raising, "restore": raising}, "save(model, folder) raises OSError: the disk is full"),
        ({"save": returning, "restore": raising}, "restore(model, folder) raises OSError: the disk is full"),
        ({"save": returning, "restore": returning}, RETURNS),
        ({"save": lambda: None, "restore": returning}, "save(folder) raises TypeError: …"),
        (
            {"save": save_run, "restore": returning},
            "save takes 3 arguments, and model, folder are given: give the optimizer too",
        ),
    ],
)
def test_a_save_that_is_none_is_said_in_one_message(arguments, said):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(said).replace('…', '.+')}$"):
        audit(Net(nnx.Rngs(0)), **arguments)


def with_any(*arguments):
    return len(arguments)


def with_keyword(model, optimizer, folder, *, step=0, **options):
    return 3


def with_default(model, folder, step=0):
    return 2


class Unreadable:
    """A function without a signature that can be read, as some of C are."""

    __signature__ = "none"

    def __call__(self, *arguments):
        return len(arguments)


@pytest.mark.parametrize(
    ("function", "with_optimizer", "given"),
    [
        (with_any, True, 3),
        (with_any, False, 2),
        (Unreadable(), True, 3),
        (Unreadable(), False, 2),
        (with_keyword, True, 3),
        (with_default, True, 2),
        (with_default, False, 2),
        (lambda folder: 1, True, 1),
        (lambda folder, /: 1, False, 1),
    ],
)
def test_a_function_gets_as_much_as_it_takes(function, with_optimizer, given):
    run = {"model": Net(nnx.Rngs(0))}
    assert saving._call("save", function, run | ({"optimizer": 1} if with_optimizer else {}), "here") == given


def test_a_function_that_wants_more_than_all_raises():
    run = {"model": Net(nnx.Rngs(0)), "optimizer": 1}
    with pytest.raises(saving.SaveError, match=r"^save\(model, optimizer, folder\) raises TypeError"):
        saving._call("save", lambda model, optimizer, folder, step: None, run, "here")


class Draws:
    """A generator whose numbers are known."""

    def uniform(self, *arguments):
        assert arguments[:2] == (0.5, 1.0)
        return numpy.full(arguments[2], 0.75)

    def integers(self, low, high, shape=None, dtype=None):
        assert (low, high) == ((1, 7) if shape is None else (1, 2**32))
        return 3 if shape is None else numpy.full(shape, 9, dtype)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (True, False),
        (3, 4),
        (0.5, 1.5),
        (jnp.array([True, False]), [False, True]),
        (jnp.array([1, 2], jnp.int8), [4, 5]),
        (jnp.array([0.1, 0.75]), [0.75, 1.75]),
        (numpy.array([0.1, 0.75]), [0.75, 1.75]),
    ],
)
def test_other_numbers_are_of_the_same_kind(value, other):
    made = saving._other(value, Draws())
    assert isinstance(made, jax.Array) == isinstance(value, jax.Array)
    assert getattr(made, "dtype", None) == getattr(value, "dtype", None)
    assert numpy.asarray(made).tolist() == other


def test_another_key_is_of_the_same_kind():
    made = saving._other(jax.random.key(0, impl="rbg"), Draws())
    assert str(jax.random.key_impl(made)) == "rbg"
    assert set(jax.random.key_data(made).tolist()) == {9}


def test_a_leaf_is_the_same_as_one_of_its_type_with_its_numbers():
    array = jnp.ones(2)
    assert saving._is_same(nnx.Variable(array), nnx.Variable(array)) is True
    for other in (array, nnx.Param(array), nnx.Variable(array * 2), nnx.Variable(array[:1])):
        assert saving._is_same(nnx.Variable(array), other) is False
    abstract = nnx.Variable({"a": jax.ShapeDtypeStruct((2,), jnp.float32), "b": array})
    assert saving._is_same(abstract, abstract) is False


def test_of_two_leaves_the_one_that_orbax_refuses_is_named():
    model = nnx.Dict(a=nnx.Variable(jnp.ones(1)), empty=nnx.Variable(jnp.zeros((0, 2))))
    assert found(model, save="orbax") == [("lost-in-checkpoint", "empty")]
    assert not logging.getLogger("absl").disabled


def test_a_restore_may_return_less_than_the_run():
    model, kept = Net(nnx.Rngs(0)), []
    arguments = {
        "save": lambda model, optimizer, folder: kept.append(nnx.clone((model, optimizer))),
        "restore": lambda model, optimizer, folder: kept[-1][:1],
    }
    assert found(model, optimizer=make_optimizer, **arguments) == forgotten("optimizer.wrt")
