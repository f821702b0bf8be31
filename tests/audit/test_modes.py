"""How a call is told to evaluate, and what the audit says of a layer that does not hear it."""

import inspect

import jax.numpy as jnp
import numpy
import pytest
from flax import nnx

from nnx_state.audit import audit
from nnx_state.audit.calling import EVALUATES, Inputs
from nnx_state.audit.evaluation import Evaluation, evaluation

X = jnp.ones((4, 2))


class Block(nnx.Module):
    """Two layers, and which of them a call tells its mode."""

    def __init__(self, *, drops, norms):
        rngs = nnx.Rngs(0)
        self.drop, self.norm = nnx.Dropout(0.5, rngs=rngs), nnx.BatchNorm(2, rngs=rngs)
        self.tells = (drops, norms)

    def called(self, x, evaluates):
        drops, norms = self.tells
        x = self.drop(x, deterministic=evaluates if drops else None)
        return self.norm(x, use_running_average=evaluates if norms else None)


CALLS = {
    "train=False": lambda model, x, train=True: model.called(x, not train),
    "training=False": lambda model, x, training=True: model.called(x, not training),
    "is_train=False": lambda model, x, is_train=True: model.called(x, not is_train),
    "eval_mode=True": lambda model, x, eval_mode=False: model.called(x, eval_mode),
    "is_eval=True": lambda model, x, is_eval=False: model.called(x, is_eval),
    "is_training=False": lambda model, x, is_training=True: model.called(x, not is_training),
    "deterministic=True": lambda model, x, deterministic=False: model.called(x, deterministic),
    "use_running_average=True": lambda model, x, use_running_average=False: model.called(x, use_running_average),
    "inference=True": lambda model, x, inference=False: model.called(x, inference),
    "deterministic=True, train=False": lambda model, x, *, train, deterministic=None: model.called(
        x, deterministic is True and not train
    ),
}
PATHS = ["drop.rngs.count", "norm.mean", "norm.var"]


def found(model, *arguments, **options):
    return audit(model, inputs=options or arguments, select=["mode-unheard"]).findings


def block(call, **tells):
    return type("Called", (Block,), {"__call__": call})(**tells)


def test_every_argument_that_tells_a_mode_is_tried():
    assert EVALUATES.keys() == {told.partition("=")[0] for told in CALLS}


@pytest.mark.parametrize("told", CALLS)
def test_a_layer_that_does_not_hear_its_mode_is_found(told):
    options = {"x": X, "train": True} if ", train" in told else {"x": X}
    model = block(CALLS[told], drops=False, norms=False)
    findings = found(model, **options)
    assert sorted(one.path for one in findings) == PATHS
    assert all(f"`{told}` does not reach" in one.what for one in findings)
    assert found(block(CALLS[told], drops=True, norms=True), **options) == []
    assert [one.path for one in found(block(CALLS[told], drops=True, norms=False), **options)] == PATHS[1:]


def test_a_mode_may_come_by_its_place():
    model = block(CALLS["train=False"], drops=False, norms=True)
    assert [one.path for one in found(model, X, True)] == PATHS[:1]


@pytest.mark.parametrize("told", ["yes", 1])
def test_a_mode_that_is_no_bool_says_nothing(told):
    def call(model, x, train=told, deterministic=False):  # of one of two it is unknown what it is in evaluation
        return model.called(x, deterministic)

    assert found(block(call, drops=False, norms=False), X) == []


def test_a_call_that_takes_more_than_it_says_is_left_alone():
    def call(model, *arguments):
        return model.called(arguments[0], None)

    call.__signature__ = inspect.Signature.from_callable(lambda model, train: None)
    assert found(block(call, drops=False, norms=False), X, True) == []


def test_two_calls_that_cannot_be_compared_are_not():
    def call(model, x, train=True):
        model.rows += 1
        return model.drop(x[: model.rows])

    model = block(call, drops=False, norms=True)
    model.rows = 1
    (one,) = found(model, X)
    assert "differ" not in one.what
    model.rows = 1
    assert evaluation(model, Inputs("__call__", (X,))) == Evaluation(
        "train=False", {"drop.rngs.count": "by up to 1"}, 0.0
    )


def test_a_call_that_writes_nothing_in_evaluation_is_not_compared():
    assert evaluation(nnx.Linear(2, 2, rngs=nnx.Rngs(0)), Inputs("__call__", (X,))) == Evaluation("", {}, 0.0)


def test_how_much_two_calls_differ_is_told():
    def call(model, x, train=True):
        return {"same": x, "out": model.drop(x), "none": x[:0], "tokens": jnp.array([1]), "text": "a"}

    (one,) = found(block(call, drops=False, norms=False), X)
    assert "two such calls differ by up to 2." in one.what


@pytest.mark.parametrize("result", [jnp.zeros(0), jnp.array([1]), "a", jnp.array([jnp.nan])])
def test_what_is_no_finite_float_does_not_differ(result):
    def call(model, x, train=True):
        model.drop(x)
        return result

    (one,) = found(block(call, drops=False, norms=False), X)
    assert "it still draws a mask." in one.what


def test_a_second_call_may_raise():
    def call(model, x, train=True):
        if not train and model.norm.mean[0] != 0:
            raise ValueError("only once")
        return model.called(x, None)

    model = block(call, drops=False, norms=False)
    findings = found(model, X)
    assert sorted(one.path for one in findings) == PATHS
    assert not any("differ" in one.what for one in findings)
    assert evaluation(model, Inputs("__call__", (X,))).apart == 0.0


@pytest.mark.parametrize("told", ["", "train"])
def test_a_buffer_of_numpy_that_a_call_writes_in_place_stays_as_it_is(told):
    def plain(model, x):
        model.buffer += 1
        return x

    def with_mode(model, x, train=True):
        return plain(model, x)

    model = block(with_mode if told else plain, drops=True, norms=True)
    model.buffer = nnx.data(numpy.zeros(2))
    assert [one.rule for one in audit(model, inputs=(X,)).findings] == ["array-written"]
    assert model.buffer.tolist() == [0, 0]


class HandsOn(nnx.Module):
    """A call that hands its keywords on, and does not name them."""

    def __init__(self, *, drops):
        self.block = Block(drops=drops, norms=True)

    def __call__(self, x, **keywords):
        return self.block.called(x, not keywords["train"])


def test_a_mode_that_is_handed_on_is_known_from_the_inputs():
    inputs = {"x": X, "train": True}
    assert audit(HandsOn(drops=True), inputs=inputs).findings == []
    (one,) = audit(HandsOn(drops=False), inputs=inputs).findings
    assert one.rule == "mode-unheard"
    assert "`train=False`" in one.what


class Named(nnx.Module):
    def __init__(self):
        self.block = Block(drops=True, norms=True)

    def __call__(self, x, mode="train"):
        return self.block.called(x, mode == "eval")


def test_a_mode_of_unknown_values_is_not_asked():
    assert audit(Named(), inputs=(X,)).findings == []


class Teacher(nnx.Module):
    def __init__(self, *, evaluates):
        self.student = Block(drops=True, norms=True)
        self.teacher = nnx.clone(self.student)
        if evaluates:
            self.teacher.eval()


@pytest.mark.parametrize("evaluates", [True, False])
def test_a_copy_that_only_evaluates_draws_nothing(evaluates):
    found = [one.rule for one in audit(Teacher(evaluates=evaluates)).findings]
    assert found == ([] if evaluates else ["same-stream"])
