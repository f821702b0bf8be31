"""What the audit finds and leaves alone, and that it changes nothing."""

import dataclasses
import functools
import importlib
import json
import pkgutil
import random
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy
import optax
import pytest
from flax import nnx

import nnx_state.audit
from nnx_state import differences
from nnx_state.audit import audit, table
from nnx_state.audit.calling import CallError, filled
from nnx_state.audit.evaluation import Evaluation
from nnx_state.audit.findings import by_cause
from nnx_state.audit.optimizing import Step
from nnx_state.audit.rules import NOTE, RULES, Model
from nnx_state.audit.rules.base import named, shares
from nnx_state.audit.running import Call
from nnx_state.audit.saving import Trip
from nnx_state.audit.settings import Settings

PAGES = Path(__file__).parents[2] / "docs/audit"


class Everything(nnx.Module):
    """A model with something of each home, which writes and draws when it is called."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(3, 3, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.count = nnx.Variable(jnp.array(0))
        self.grid = jnp.linspace(0.0, 1.0, 3)
        self.size = 3

    def __call__(self, x):
        self.count[...] += 1
        return self.dropout(self.norm(self.linear(x))) + self.grid


def test_each_rule_has_a_page_and_a_row_in_the_table_of_rules():
    assert {file.stem for file in PAGES.glob("*.md")} == {"index", *RULES}
    listed = re.findall(
        r"^\| \[`([\w-]+)`\]\(\1\.md\) \| (.+) \| (\w+)(?:, with (\w+))? \|$",
        (PAGES / "index.md").read_text("utf-8"),
        re.M,
    )
    assert listed == [(rule.name, rule.about, rule.severity, rule.needs) for rule in RULES.values()]


@pytest.mark.parametrize("name", RULES)
def test_the_page_of_a_rule_says_how_sure_it_is(name):
    text = (PAGES / f"{name}.md").read_text("utf-8")
    rule = RULES[name]
    assert f"*{rule.severity}*" in text
    assert not rule.needs or f"needs `{rule.needs}`" in text or f'save="{rule.needs}"' in text
    assert ("needs `inputs`" in text) == (rule.needs == "inputs")
    assert ("asked for by name" in text) == (rule.severity == NOTE)


@pytest.mark.parametrize("train", [True, False])
def test_the_model_stays_as_it_is(train):
    model = Everything(nnx.Rngs(0))
    model.set_attributes(deterministic=not train, use_running_average=not train)
    graphdef, before = nnx.graphdef(model), nnx.clone(model, arrays=True)
    values = [(path, id(leaf)) for path, leaf in nnx.to_flat_state(nnx.state(model))]
    audit(model, inputs=(jnp.ones((2, 3)),), select=RULES)
    assert nnx.graphdef(model) == graphdef
    assert not differences(before, model)
    assert [(path, id(leaf)) for path, leaf in nnx.to_flat_state(nnx.state(model))] == values


def test_a_right_model_gives_no_finding():
    report = audit(Everything(nnx.Rngs(0)), inputs=(jnp.ones((2, 3)),), select=RULES)
    assert report.findings == []
    report.raise_for()
    assert str(report).startswith("Nothing found:")


def planted(draw, rngs):
    """Return one value of a random home, and the rule that must find it, if one must."""
    name = f"w{draw.randrange(10**6)}"
    return draw.choice(
        [
            (name, lambda: nnx.Param(rngs.params.normal((2,))), None),
            (name, lambda: nnx.BatchStat(jnp.zeros(2)), None),
            (name, lambda: nnx.Variable(jnp.array(1)), None),
            (name, lambda: jnp.ones(2), None),
            (name, lambda: 3, None),
            (name, lambda: "relu", None),
            (name, lambda: nnx.Param(jnp.array([1, 2])), "integer-param"),
            (name, lambda: nnx.Param(jnp.array(True)), "integer-param"),
            (name, lambda: nnx.Param(jax.random.key(1)), "integer-param"),
            ("kernel", lambda: jnp.ones(2), "plain-weight"),
            ("bias", lambda: nnx.Variable(jnp.ones(2)), "variable-weight"),
        ]
    )


def grown(draw, rngs, depth, path=()):
    """Return a random tree of modules, and what must be found in it."""
    model, expected = nnx.Dict(), set()
    for _ in range(draw.randrange(1, 5)):
        name, make, rule = planted(draw, rngs)
        if hasattr(model, name):
            continue
        setattr(model, name, make())
        if rule:
            expected.add((rule, ".".join([*path, name])))
    for number in range(draw.randrange(3) if depth else 0):
        child, below = grown(draw, rngs, depth - 1, (*path, f"part{number}"))
        setattr(model, f"part{number}", child)
        expected |= below
    return model, expected


@pytest.mark.parametrize("seed", range(40))
def test_exactly_what_was_planted_is_found(seed):
    model, expected = grown(random.Random(seed), nnx.Rngs(seed), 3)
    before = nnx.clone(model, arrays=True)
    assert {(one.rule, one.path) for one in audit(model).findings} == expected
    assert not (nnx.state(model) and differences(before, model))  # which has to have something to compare


def test_an_abstract_model_is_audited_for_what_needs_no_numbers():
    def make():
        model = Everything(nnx.Rngs(0))
        del model.grid
        model.table = nnx.Param(jnp.arange(3))
        return model

    abstract = nnx.eval_shape(make)
    assert [(one.rule, one.path) for one in audit(abstract, select=RULES).findings] == [("integer-param", "table")]
    with pytest.raises(ValueError, match="abstract") as raised:
        audit(abstract, inputs=(jnp.ones((2, 3)),))
    assert str(raised.value) == (
        "An abstract model cannot be called, trained or saved: audit it alone, or make its numbers first."
    )


def test_what_is_under_a_list_that_was_filled_late_has_a_row():
    model = nnx.Module()
    model.layers = []
    model.layers.append(nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    rows = [(row.path, row.home) for row in table(model) if isinstance(row.held, nnx.Variable)]
    assert rows == [("layers.0.bias", "hidden"), ("layers.0.kernel", "hidden")]


def test_a_row_says_what_its_value_is():
    model = nnx.Dict(layer=nnx.Linear(2, 3, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0)))
    (row,) = [row for row in table(model) if row.path == "layer.kernel"]
    assert row.data() | {"metadata": None} == {
        "path": "layer.kernel",
        "home": "Param",
        "shape": [[2, 3]],
        "dtype": ["bfloat16"],
        "nbytes": 12,
        "metadata": None,
        "owner": "flax.nnx.nn.linear.Linear",
        "also": [],
        "line": None,
    }


def test_a_report_is_data_for_programs():
    report = audit(nnx.Dict(steps=nnx.Param(jnp.array(0))))
    data = json.loads(report.to_json())
    assert [one["rule"] for one in data["findings"]] == ["integer-param"]
    assert data["findings"][0]["read"].endswith("audit/integer-param/")
    assert [row["path"] for row in data["values"]] == ["steps"]


def test_a_note_fails_nothing():
    model = nnx.Dict(drop=nnx.Dropout(0.5))
    report = audit(model, select=["dropout-alone"])
    assert [one.severity for one in report.findings] == [NOTE]
    report.raise_for()
    report.raise_for(NOTE)


def test_only_the_severities_that_are_named_raise():
    report = audit(nnx.Dict(kernel=jnp.ones(2)))
    report.raise_for("error")
    with pytest.raises(AssertionError, match="plain-weight"):
        report.raise_for()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="There is no rule typo: choose among integer-param"):
        audit(nnx.Dict(), ignore=["typo"])
    with pytest.raises(TypeError, match=r"model must be an nnx\.Module"):
        audit({})
    with pytest.raises(CallError, match="TypeError"):
        audit(Everything(nnx.Rngs(0)), inputs=())


class Eager(nnx.Module):
    """It looks at a number, which a traced function could not, and gives back a text."""

    def __init__(self):
        self.bound = nnx.Param(jnp.array(1.0 + 1.0j))
        self.nothing = float("nan")

    def __call__(self, x):
        self.bound[...] *= 2
        return "large" if x.sum() > 1 else "small"


def test_a_model_that_cannot_be_traced_is_audited_for_what_a_call_shows():
    report = audit(Eager(), inputs=(jnp.ones(3),), select=["written-param", "unused-param", "static-written"])
    assert [(one.rule, one.path) for one in report.findings] == [("written-param", "bound")]
    assert "by up to 1.41" in report.findings[0].what


class Twins(nnx.Module):
    """A network and its target, which begins as a copy and is used by another method."""

    def __init__(self, rngs):
        self.online = nnx.Sequential(nnx.Linear(3, 3, rngs=rngs), nnx.Linear(3, 3, use_bias=False, rngs=rngs))
        self.target = nnx.clone(self.online)
        self.average = nnx.data({"kernel": jnp.ones(3)})

    def __call__(self, x):
        return self.online(x)


def test_a_target_network_is_left_alone():
    assert audit(Twins(nnx.Rngs(0)), inputs=(jnp.ones((1, 3)),)).findings == []


class Told(nnx.Module):
    """Its call is told its mode, as in Linen."""

    def __init__(self, rngs):
        self.norm = nnx.BatchNorm(3, rngs=rngs)

    def __call__(self, x, *, train):
        return self.norm(x, use_running_average=not train)


def test_inputs_may_be_keywords_and_a_mode_may_be_an_argument():
    assert audit(Told(nnx.Rngs(0)), inputs={"x": jnp.ones((2, 3)), "train": True}).findings == []
    with pytest.raises(CallError, match="its class Dict has no method __call__"):
        audit(nnx.Dict(a=nnx.Param(jnp.ones(1))), inputs=())


class Density(nnx.Module):
    """A model whose work is in methods, and which has no `__call__`."""

    def __init__(self):
        self.mean = nnx.Param(jnp.zeros(2))
        self.spread = nnx.Param(jnp.ones(2))
        self.asked = nnx.Param(jnp.array(0.0))
        self.kept = nnx.BatchStat(jnp.zeros(2))

    def log_prob(self, x, *, train):
        self.asked[...] += 1
        if train:
            self.kept[...] = 0.9 * self.kept + 0.1 * x.mean(0)
        return -(((x - self.mean) / self.spread) ** 2).sum(-1)

    def sample(self, key):
        return self.mean + jax.random.normal(key, (2,))


def test_a_method_is_called_in_place_of_the_model():
    rules = ["written-param", "unused-param", "eval-writes"]
    asked = {"x": jnp.ones((3, 2)), "train": True}
    report = audit(Density(), inputs=asked, method="log_prob", select=rules)
    assert [(one.rule, one.path) for one in report.findings] == [("written-param", "asked")]
    drawn = audit(Density(), inputs=(jax.random.key(0),), method="sample", select=rules)
    assert [(one.rule, one.path) for one in drawn.findings] == [("unused-param", "spread"), ("unused-param", "asked")]


def test_a_shape_stands_for_an_array():
    shapes = {"x": jax.ShapeDtypeStruct((3, 2), jnp.float32), "train": True}
    report = audit(Density(), inputs=shapes, method="log_prob", select=["written-param", "eval-writes"])
    assert [(one.rule, one.path) for one in report.findings] == [("written-param", "asked")]


def test_a_shape_is_filled_with_floats_between_0_and_1_or_with_zeros():
    floats, numbers = (filled(jax.ShapeDtypeStruct((9,), dtype)) for dtype in (jnp.float32, jnp.int32))
    assert (floats.shape, floats.dtype, numbers.dtype, numbers.tolist()) == ((9,), jnp.float32, jnp.int32, [0] * 9)
    assert 0 <= floats.min() < floats.max() < 1
    assert filled(numbers) is numbers


def test_a_model_with_a_tracer_is_not_called():
    model = nnx.Dict(w=nnx.Param(jnp.ones(1)))

    def leaves(x):
        object.__setattr__(model, "w", nnx.Param(x))

    jax.make_jaxpr(leaves)(jnp.ones(1))
    with pytest.raises(ValueError, match="tracer") as raised:
        audit(model, inputs=())
    assert str(raised.value) == (
        "A model with a tracer cannot be called: audit it without inputs, which says where it is."
    )


def test_what_cannot_be_called_is_said():
    with pytest.raises(CallError, match="Density has no method prob: name the one to call, such as log_prob, sample"):
        audit(Density(), inputs=(jnp.ones(2),), method="prob")
    with pytest.raises(TypeError, match="log_prob is called with inputs, and none were given: give some"):
        audit(Density(), method="log_prob")


class Fixed(nnx.Module):
    """A model whose call tells a norm its mode, which `model.eval()` then does not change."""

    def __init__(self):
        self.norm = nnx.BatchNorm(2, rngs=nnx.Rngs(0))

    def __call__(self, x):
        return self.norm(x, use_running_average=False)


def test_a_norm_that_its_call_tells_to_train_is_advised_so():
    findings = audit(Fixed(), inputs=(jnp.ones((3, 2)),)).findings
    assert [(one.rule, one.path) for one in findings] == [("eval-writes", "norm.mean"), ("eval-writes", "norm.var")]
    assert findings[0].write == "no `use_running_average=False` in that call."


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (1e-7, "1e-07 of it, and a thousand steps 0.01%"),
        (9.8e-4, "0.00098 of it, and a thousand steps 62%"),  # 1001 of them would take 63%
        (0.01, "0.01 of it, and a thousand steps 100%"),
    ],
)
def test_what_a_decay_takes_is_never_nothing(share, said):
    assert shares(share) == said


def test_what_is_not_finite_is_advised_by_its_type():
    for kind, advice in ((nnx.Param, "`nnx.Variable(…)` for a mask"), (nnx.BatchStat, "a test of the batch")):
        (one,) = audit(nnx.Dict(value=kind(jnp.array([0.0, -jnp.inf])))).findings
        assert one.write.startswith(advice)


def net_of(layers):
    """Return layers with norms whose averages an optimizer may train, made by two lines."""

    class Net(nnx.Module):
        def __init__(self):
            self.norms = nnx.List([nnx.BatchNorm(2, rngs=nnx.Rngs(0)) for _ in range(layers)])
            self.last = nnx.BatchNorm(2, rngs=nnx.Rngs(0))

    return Net()


def test_findings_that_one_change_mends_are_told_together():
    def optimizer(model):
        return nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Variable)

    report = audit(net_of(2), optimizer=optimizer, select=["trained-state"])
    assert [one.path for one in report.findings] == [
        "norms.0.mean",
        "norms.0.var",
        "norms.1.mean",
        "norms.1.var",
        "last.mean",
        "last.var",
    ]
    assert [[one.path for one in cause] for cause in by_cause(report.findings)] == [
        [one.path for one in report.findings]
    ]
    assert str(report).count("trained-state") == 1
    assert "    Also found: `norms.0.var`, `norms.1.mean`, `norms.1.var` and 2\n" in str(report)
    with pytest.raises(AssertionError, match=re.escape(str(report))):
        report.raise_for()


def test_findings_of_two_lines_or_of_no_line_are_told_apart():
    class Net(nnx.Module):
        def __init__(self):
            self.pair = nnx.List([nnx.Param(jnp.arange(2)) for _ in range(3)])
            self.one = nnx.Param(jnp.arange(2))

    causes = by_cause(audit(Net()).findings)
    assert [[one.path for one in cause] for cause in causes] == [["pair.0", "pair.1", "pair.2"], ["one"]]
    without = audit(nnx.Dict(a=nnx.Param(jnp.arange(2)), b=nnx.Param(jnp.arange(2)))).findings
    assert [len(cause) for cause in by_cause(without)] == [1, 1]


def test_what_has_no_line_is_told_last():
    class Net(nnx.Module):
        def __init__(self):
            self.later, self.sooner = nnx.Param(jnp.arange(2)), nnx.Param(jnp.arange(2))
            self.last = nnx.Param(jnp.arange(2))

    model = Net()
    model.b, model.a = nnx.Param(jnp.arange(2)), nnx.Param(jnp.arange(2))  # from outside
    findings = audit(model).findings
    assert [one.path for one in findings] == ["later", "sooner", "last", "a", "b"]
    assert [one.place is None for one in findings] == [False, False, False, True, True]


def test_rules_that_lack_what_they_need_are_not_counted():
    model = nnx.Dict(weight=nnx.Param(jnp.ones(2)))
    report = audit(model, select=["integer-param", "written-param", "lost-in-checkpoint"])
    assert (report.rules, str(report)) == (["integer-param"], "Nothing found: 1 value, 1 rule.")
    with pytest.raises(ValueError, match="The rule written-param needs inputs, which the audit was not given"):
        audit(model, select=["written-param"])


class Odd(nnx.Module):
    """A model with what a Variable may hold besides an array, and arrays in a tuple."""

    def __init__(self):
        self.pair = nnx.data((jnp.ones(2), jnp.zeros(3)))
        self.whole, self.half, self.flag = nnx.Variable(3), nnx.Variable(2.5), nnx.Variable(True)
        self.table, self.grid = nnx.Variable(numpy.arange(3)), numpy.ones(2)
        self.nothing, self.empty = nnx.Variable(None), nnx.Variable({})
        self.tree = nnx.Param({"a": jnp.ones(2), "b": 3})

    def __call__(self, x):
        return x * self.pair[0] * self.tree["a"]


@pytest.mark.parametrize("wrt", [nnx.Param, ...])
def test_odd_values_are_called_trained_and_saved(wrt):
    kept = {}
    report = audit(
        Odd(),
        inputs=(jnp.ones(2),),
        optimizer=lambda model: nnx.Optimizer(model, optax.adamw(0.1), wrt=wrt),
        save=lambda model, optimizer, folder: kept.update(run=nnx.clone((model, optimizer))),
        restore=lambda model, optimizer, folder: kept["run"],
    )
    assert report.findings == []
    with pytest.raises(ValueError, match="restore returns a State that does not fit the model: ValueError: Cannot set"):
        audit(Odd(), save=lambda model, folder: None, restore=lambda folder: nnx.state(Odd()))


@pytest.mark.parametrize("value", ["word", 2**40])
def test_a_value_that_is_none_of_jax_is_named(value):
    model = nnx.Dict(name=nnx.Variable(value))
    assert audit(model).findings == []
    with pytest.raises(ValueError, match=f"`name` holds {value!r}, which is no value of JAX"):
        audit(model, inputs=())


def test_without_inputs_no_call_does_anything():
    call = Call(nnx.Dict(), None)
    assert call.evaluation == Evaluation("", {}, 0.0)
    assert (call.written, call.settings, call.added, call.spoilt) == ({}, {}, [], {})
    assert (call.unused, call.lost, call.forms) == (set(), set(), [])
    assert (call.limits, call.reused) == ({}, None)


def test_what_was_not_asked_for_is_nothing():
    step, trip = Step(None, [], set(), None, "raises nothing", {}, {}, [], False), Trip(0, set(), {}, {}, False)
    assert (Step(), Trip()) == (step, trip)
    assert (Model([], None).step, Model([], None).trip) == (step, trip)
    assert Evaluation() == Evaluation("", {}, 0.0)
    assert Settings() == Settings("", "", "", (), (), False, "", "", "", "", "")


def test_what_the_audit_hands_on_cannot_be_changed():
    modules = pkgutil.walk_packages(nnx_state.audit.__path__, "nnx_state.audit.")
    values = [vars(importlib.import_module(module.name)).values() for module in modules]
    classes = {one for each in values for one in each if dataclasses.is_dataclass(one) and isinstance(one, type)}
    own = {one for one in classes if one.__module__.startswith("nnx_state.audit")}
    assert {one.__name__ for one in own if not one.__dataclass_params__.frozen} == {"Ignores"}


def test_a_hidden_param_is_told_once():
    model = nnx.Dict(kept=functools.partial(max, key=nnx.Param(jnp.arange(2))))
    assert [(one.rule, one.path) for one in audit(model).findings] == [("hidden-state", "kept.key")]


@pytest.mark.parametrize(
    ("paths", "said"), [("a", "`a`"), ("abc", "`a`, `b`, `c`"), ("abcde", "`a`, `b`, `c` and 2 more")]
)
def test_of_many_paths_the_first_are_named(paths, said):
    assert named(paths) == said


def test_a_value_of_floats_and_other_numbers_is_no_weight():
    floats, both = {"a": jnp.ones(1), "b": jnp.ones(1)}, {"a": jnp.ones(1), "b": jnp.arange(1)}
    model = nnx.Dict(weight=nnx.Variable(both), bias=nnx.Variable(floats))
    assert [one.path for one in audit(model, select=["variable-weight"]).findings] == ["bias"]


def test_a_param_that_is_a_key_is_named_so():
    (found,) = audit(nnx.Dict(seed=nnx.Param(jax.random.key(0)))).findings
    assert found.what.startswith("a Param of a random key: ")


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: nnx.Param({"a": jnp.arange(2), "b": jnp.arange(2)}), "integer-param"),
        (lambda: nnx.BatchStat({"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2, jnp.bfloat16)}), "half-average"),
        (lambda: nnx.RngCount({"a": jnp.array(1), "b": jnp.array(2)}), "other-role"),
    ],
)
def test_a_variable_with_several_arrays_is_told_once(make, rule):
    assert [(one.rule, one.path) for one in audit(nnx.Dict(value=make()), select=[rule]).findings] == [(rule, "value")]


def test_random_state_that_has_a_key_among_its_numbers_is_no_other_role():
    model = nnx.Dict(value=nnx.RngState({"key": jax.random.key(0), "count": jnp.array(0)}))
    assert audit(model, select=["other-role"]).findings == []
