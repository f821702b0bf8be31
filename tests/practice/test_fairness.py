"""What all exercises share to be fair: lines, formulas, origins, habits, and parts that do not hide each other."""

from contextlib import closing
from itertools import chain
from types import ModuleType

import numpy as np
import pytest
from flax import nnx

import nnx_state
from nnx_state.practice import habits, origins
from nnx_state.practice.exercises import exercise
from nnx_state.practice.formulas import formula_of
from nnx_state.practice.grading import grade_source
from nnx_state.practice.kernels import INPUTS, OUTPUTS, drawn
from nnx_state.practice.lines import changing_line, first_line, making_line
from nnx_state.practice.values import close
from workshop.attempts import Reused

PROGRAM = """\
class Base:
    def __init__(self):
        self.count = None
        self.count = Variable(0)
        self.mean, self.kept = 0, 1

    def __call__(self, x):
        self.count[...] += 1
        self.count = self.count + 1
        setattr(self, "mean", x)


def reset(model):
    model.kept.set_value(2)
"""

# A mistake in one part of an attempt, and the name of another part that is missing beside it.
BESIDE = [
    ("linear", "kernel-variable", "def linear_forward("),
    ("multi-param", "count-param", "def multi_param_forward("),
    ("counters", "last-buffer", "def to_save("),
    ("filters", "sizes-leaves", "class Exactly:"),
    ("split-merge", "restore-shape", "def snapshot("),
    ("training", "grouped_optimizer-last-wins", "def train_step("),
    ("transforms", "unchanged-tolerance", "class TraceCounter:"),
    ("batch-stats", "evaluate-training", "class Norm("),
    ("caches", "reorder-axis", "class CausalMean("),
    ("own-types", "update-sign", "def track("),
    ("containers", "lost-all", "class Tower("),
    ("randomness", "save-randomness", "class Dropout("),
    ("vmap-scan", "predict-variance", "def ensemble("),
    ("freezing", "fine_tune-steps", "class Adapter("),
]


@pytest.fixture(scope="module")
def reused():
    """One process for all attempts."""
    with closing(Reused()) as process:
        yield process


@pytest.mark.parametrize(("slug", "mistake", "definition"), BESIDE)
def test_a_mistake_is_told_beside_a_part_that_is_missing(slug, mistake, definition, reused):
    one = exercise(slug)
    source = one.wrong[mistake].source
    missing = definition.split()[1].rstrip("(:")
    assert source.count(definition) == 1
    report = grade_source(one, source.replace(definition, definition.replace(missing, "Renamed")), runner=reused)
    names = [found.finding.name for found in report.found]
    assert {mistake, f"{missing}-absent"} <= set(names), f"{names}\n{report.printed}"


def test_an_array_that_is_computed_from_a_param_is_told_as_that(reused):
    linear = exercise("linear")
    for spelling, told in [("", False), ("--scaled-after", True)]:
        (first, *_) = grade_source(linear, linear.wrong[f"kernel-array{spelling}"].source, runner=reused).found
        assert ("what is computed from a Param is an array" in first.finding.seen) is told


def test_the_line_that_makes_an_attribute_is_the_last_of_its_constructor():
    assert first_line(PROGRAM, "count", "Base") == 3
    assert making_line(PROGRAM, "count", "Base") == 4
    assert making_line(PROGRAM, "kept", "Base") == 5
    assert making_line(PROGRAM, "count", "Other") is None


def test_the_line_that_replaces_a_variable_is_told_from_the_one_that_writes_into_it():
    assert changing_line(PROGRAM, "count") == 8
    assert changing_line(PROGRAM, "count", replaces=True) == 9
    assert changing_line(PROGRAM, "mean", replaces=True) == 10
    assert changing_line(PROGRAM, "kept") == 14
    assert changing_line(PROGRAM, "kept", replaces=True) is None


def test_where_two_formulas_give_one_result_neither_is_named():
    known = {"double": np.array([2.0, 4.0]), "square": np.array([4.0, 4.0]), "sum": np.array([4.0, 4.0])}
    assert formula_of(np.array([2.0, 4.0]), known) == "double"
    assert formula_of(np.array([4.0, 4.0]), known) == "formula"


def test_an_object_that_equals_everything_is_close_to_nothing():
    class Anything:
        def __eq__(self, other):
            return True

    assert not close(Anything(), np.zeros(()))
    assert not close([Anything()], np.zeros(1))
    assert close(np.float32(1e-6), np.zeros(()))


@pytest.mark.parametrize(("bound", "whose"), [(1.0, "as `nn.Linear` of PyTorch"), (3**0.5, "uniform numbers")])
def test_uniform_numbers_are_told_before_their_scale(bound, whose):
    first, other = (
        np.random.default_rng(seed).uniform(-bound, bound, (INPUTS, OUTPUTS)).astype(np.float32) / INPUTS**0.5
        for seed in (0, 1)
    )
    (finding,) = drawn((first, first, other), None)
    assert finding.kind == "uniform"
    assert whose in finding.seen


def test_a_type_is_of_nnx_by_what_it_is():
    made = type("Buffer", (nnx.Variable,), {})
    assert made.__module__.startswith("flax")  # what its metaclass says of it
    assert not origins.is_of_nnx(made)
    assert origins.is_of_nnx(nnx.BatchStat)


def test_a_class_is_not_borrowed_for_what_it_says_of_itself():
    attempt = ModuleType("attempt")
    disguised = type("Linear", (nnx.Module,), {"__module__": "nnx_state.linear"})
    known = origins.answers("linear")
    assert origins.borrowed(nnx_state.Linear, attempt, None, "linear", known) == "comes from nnx_state.linear"
    assert not origins.borrowed(disguised, attempt, None, "linear", known)
    assert not origins.borrowed(nnx.Variable, attempt, None, "linear", known)


def test_no_attribute_of_another_library_is_one_of_nnx():
    for name in chain.from_iterable(habits.ATTRIBUTES.values()):
        owners = [owner for owner in (nnx.Module, nnx.Optimizer) if hasattr(owner, name)]
        assert owners == [], name


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (AttributeError("'Linear' object has no attribute 'register_buffer'"), "register_buffer-of-pytorch"),
        (AttributeError("Cannot set attribute requires_grad. To set"), "requires_grad-of-pytorch"),
        (AttributeError("Module flax.nnx has no attribute 'ModuleList'"), "ModuleList-of-pytorch"),
        (TypeError("Linear.__init__() got an unexpected keyword argument 'key'"), "key-of-equinox"),
        (TypeError("unexpected PRNG key type <class 'flax.nnx.rnglib.RngStream'>"), "rngs-as-key"),
    ],
)
def test_an_error_that_a_habit_raises_is_named(error, name):
    assert habits.in_error(error, 3).name == name
    assert habits.in_error(error, 3).line == 3


@pytest.mark.parametrize("error", [AttributeError("'Linear' object has no attribute 'kernal'"), ValueError("dim")])
def test_another_error_is_no_habit(error):
    assert habits.in_error(error, 3) is None
