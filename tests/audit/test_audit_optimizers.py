"""What the audit finds in optimizers, and what it leaves alone."""

import functools
import linecache

import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

from nnx_state import carry_over, differences, param_mask
from nnx_state.audit import Row, audit
from nnx_state.audit.optimizing import FITS, UNTRIED, step
from nnx_state.audit.rules import RULES

ABOUT_OPTIMIZERS = [name for name, rule in RULES.items() if rule.needs in ("optimizer", "gradients")]
X = jnp.ones((2, 2))


class Net(nnx.Module):
    def __init__(self, rngs):
        self.body = nnx.Linear(2, 2, rngs=rngs)
        self.norm = nnx.BatchNorm(2, rngs=rngs)
        self.head = nnx.Linear(2, 2, rngs=rngs)

    def __call__(self, x):
        return self.head(self.norm(self.body(x)))


def made(tx, wrt=nnx.Param):
    return lambda model: nnx.Optimizer(model, tx, wrt=wrt)


def found(model, optimizer, **arguments):
    report = audit(model, optimizer=optimizer, select=ABOUT_OPTIMIZERS, **arguments)
    return [(one.rule, one.path) for one in report.findings]


def gradient(model):
    return nnx.grad(lambda m: m(X).sum())(model)


@pytest.mark.parametrize(
    "tx",
    [
        optax.sgd(0.1, momentum=0.9),
        optax.adam(optax.linear_schedule(0.0, 0.1, 10)),
        optax.adafactor(0.1),
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
        optax.chain(optax.add_noise(0.1, 0.5, 0), optax.sgd(0.1)),
        optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
        optax.MultiSteps(optax.adam(0.1), 3),
        optax.inject_hyperparams(optax.adam)(0.1),
        optax.lbfgs(0.1),
    ],
    ids=[
        "momentum",
        "warm-up",
        "adafactor",
        "clip",
        "noise",
        "plateau",
        "MultiSteps",
        "injected",
        "line-search",
    ],
)
def test_rules_without_decay_are_left_alone(tx):
    model = Net(nnx.Rngs(0))
    assert found(model, made(tx), gradients=nnx.Param) == []


BIASES = ["body.bias", "norm.bias", "norm.scale", "head.bias"]


@pytest.mark.parametrize(
    ("tx", "share"),
    [
        (optax.adamw(0.1, weight_decay=0.01), 0.001),
        (optax.adamw(optax.linear_schedule(0.0, 0.1, 10), weight_decay=0.1), 0.001),
        (optax.MultiSteps(optax.adamw(0.1, weight_decay=0.01), 3), 0.001),
        (optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.1)), 0.001),
    ],
    ids=["adamw", "warm-up", "MultiSteps", "by hand"],
)
def test_the_share_of_a_decay_is_measured(tx, share):
    model = Net(nnx.Rngs(0))
    report = audit(model, optimizer=made(tx), select=["decay-on-bias"])
    assert sorted(one.path for one in report.findings) == sorted(BIASES)
    assert all(f"takes {share} of it" in one.what for one in report.findings)


@pytest.mark.parametrize(("waits", "is_found"), [(8, True), (9, False)])
def test_a_rule_that_waits_is_given_eight_steps(waits, is_found):
    tx = optax.MultiSteps(optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.1)), waits)
    model = nnx.Dict(bias=nnx.Param(jnp.ones(1)))
    assert bool(audit(model, optimizer=made(tx), select=["decay-on-bias"]).findings) == is_found


def test_a_mask_for_kernels_leaves_biases_alone():
    model = Net(nnx.Rngs(0))
    mask = param_mask(model, nnx.PathContains("kernel"))
    assert found(model, made(optax.adamw(0.1, mask=mask))) == []


class Counting(Net):
    def __init__(self, rngs):
        super().__init__(rngs)
        self.steps = nnx.Param(jnp.array(0.0))

    def __call__(self, x):
        self.steps[...] += 1
        return super().__call__(x)


def test_a_counter_that_is_a_param_is_found_once_and_its_decay_is_measured():
    model, adamw = Counting(nnx.Rngs(0)), made(optax.adamw(0.1))
    assert "decay-on-state" not in dict(found(model, adamw, inputs=(X,)))
    (one,) = audit(model, optimizer=adamw, inputs=(X,)).findings
    assert (one.rule, one.path) == ("written-param", "steps")
    assert "weight decay takes 1e-05 of it, and a thousand steps 1%" in one.what
    (one,) = audit(model, optimizer=made(optax.adam(0.1)), inputs=(X,)).findings
    assert one.what.endswith("moves twice in each step, by the call and by the optimizer.")
    (one,) = audit(model, inputs=(X,)).findings
    assert one.what.endswith("and weight decay draws it to zero.")


def no_filter_of_all(path, leaf):
    """Say yes or no of a bias, and something else of the rest."""
    return path[-1] == "bias" or "kernel"


@pytest.mark.parametrize(
    "gradients", [lambda model, x: model, no_filter_of_all, lambda _: True, 3], ids=["model", "some", "one", "3"]
)
def test_gradients_that_are_no_filter_are_refused(gradients):
    with pytest.raises(TypeError, match=r"gradients must be the filter of the gradient, an nnx\.DiffState, or the S"):
        audit(Net(nnx.Rngs(0)), optimizer=made(optax.sgd(0.1)), gradients=gradients)


def test_an_average_of_weights_that_decays_is_told_where_nothing_uses_it():
    model = Net(nnx.Rngs(0))
    model.average = nnx.Param(jnp.ones(3))
    for tx, end in ((optax.adamw(0.1), "a step takes 1e-05 of it, and a thousand steps 1%."), (optax.sgd(0.1), "it.")):
        (one,) = audit(model, inputs=(X,), optimizer=made(tx), select=["unused-param"]).findings
        assert one.what.endswith(end)


def test_what_has_no_gradient_does_not_hide_the_decay_of_the_rest():
    model = Net(nnx.Rngs(0))
    model.key, model.count = jax.random.key(0), nnx.Variable(jnp.array(0))
    one = audit(model, optimizer=made(optax.adamw(0.1), wrt=nnx.Not(nnx.RngState)), select=["decay-on-bias"])
    assert one.findings
    everything = jax.tree.map(lambda _: True, nnx.state(model, nnx.Not(nnx.RngState)))
    masked = optax.masked(optax.adamw(0.1), everything)  # which cannot be made for the floats alone
    assert audit(model, optimizer=made(masked, wrt=nnx.Not(nnx.RngState)), select=["decay-on-bias"]).findings == []


AVERAGES = nnx.Any(nnx.Param, nnx.BatchStat)


def test_of_the_params_that_decay_biases_and_scales_of_norms_are_named():
    report = audit(Net(nnx.Rngs(0)), optimizer=made(optax.adamw(0.1), AVERAGES), select=["decay-on-bias"])
    assert {one.path: one.what.partition(" that decays")[0] for one in report.findings} == {
        "body.bias": "a bias",
        "norm.bias": "a bias",
        "norm.scale": "the scale of a norm",
        "head.bias": "a bias",
    }


@pytest.mark.parametrize(
    ("tx", "rule", "said"),
    [
        (optax.adamw(0.1), "decay-on-state", "a step without any gradient takes 1e-05 of it"),
        (optax.adam(0.1), "trained-state", "a step with a gradient of 1 moves it by 0.1"),
        (optax.sgd(optax.linear_schedule(0.0, 0.1, 10)), "trained-state", "a BatchStat that the optimizer trains."),
    ],
)
def test_averages_that_are_trained_are_found_once(tx, rule, said):
    report = audit(Net(nnx.Rngs(0)), optimizer=made(tx, AVERAGES))
    assert [(one.rule, one.path) for one in report.findings] == [(rule, "norm.mean"), (rule, "norm.var")]
    assert all(said in one.what for one in report.findings)


class Remembering(Net):
    """It has a count in a float, a type of its own, and something that it only reads."""

    class Fast(nnx.Variable):
        """What a call writes, and an optimizer might train."""

    def __init__(self, rngs):
        super().__init__(rngs)
        self.count = nnx.Variable(jnp.array(0.0))
        self.fast = self.Fast(jnp.zeros(2))
        self.scale = nnx.Variable(jnp.ones(2))

    def __call__(self, x):
        self.count[...] += 1
        self.fast[...] += x.mean(0)
        return super().__call__(x) * self.scale


def test_what_a_call_writes_may_not_be_trained_whatever_its_type():
    model, adam = Remembering(nnx.Rngs(0)), optax.adam(0.1)
    everything = made(adam, nnx.Variable)
    averages = [("trained-state", "norm.mean"), ("trained-state", "norm.var")]
    assert found(model, everything) == averages
    counts = [("trained-state", "count"), ("trained-state", "fast")]
    assert sorted(found(model, everything, inputs=(X,))) == sorted(counts + averages)
    said = {one.path: one.what for one in audit(model, inputs=(X,), optimizer=everything).findings}
    assert said["count"].startswith("a Variable that the optimizer trains, and that a call changes by up to 1: a step")
    own = made(adam, nnx.Any(nnx.Param, nnx.PathContains("scale")))
    assert found(model, own, inputs=(X,)) == []


@pytest.mark.parametrize("kind", [nnx.BatchStat, nnx.Cache, nnx.Intermediate])
def test_what_a_call_writes_by_its_type_may_not_be_trained(kind):
    model = nnx.Dict(value=kind(jnp.ones(2)), weight=nnx.Param(jnp.ones(2)))
    assert found(model, made(optax.sgd(0.1), ...)) == [("trained-state", "value")]


def test_a_filter_that_matches_nothing_is_told_what_it_leaves_out():
    model = nnx.Dict(count=nnx.Variable(jnp.ones(5)), weight=nnx.Param(jnp.ones(3)), bias=nnx.Param(jnp.ones(2)))
    (one,) = audit(model, optimizer=made(optax.sgd(0.1), nnx.BatchStat), select=["wrt-matches-nothing"]).findings
    assert one.what == (
        "a filter that matches no leaf of this model: a step counts, and moves none of the 5 numbers of its 2 Params."
    )


def test_a_stream_or_a_count_that_is_trained_is_found_although_it_is_no_float():
    model = nnx.Dict(drop=nnx.Dropout(0.5, rngs=nnx.Rngs(0)))
    for tx in (optax.sgd(0.1), optax.adamw(0.1)):
        report = audit(model, optimizer=made(tx, nnx.RngState), select=["trained-state", "decay-on-state"])
        assert [(one.rule, one.path) for one in report.findings] == [
            ("trained-state", "drop.rngs.count"),
            ("trained-state", "drop.rngs.key"),
        ]
        assert [one.what for one in report.findings] == [
            f"an {kind} that the optimizer trains: it is no float, so that `nnx.grad` raises where it takes its "
            "gradient."
            for kind in ("RngCount", "RngKey")
        ]
    with pytest.raises(TypeError, match="grad requires"):
        nnx.grad(lambda model: model.drop(X).sum(), argnums=nnx.DiffState(0, nnx.RngState))(model)


def test_a_kernel_that_a_norm_computes_in_each_call_is_left_alone():
    linear = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    model = nnx.WeightNorm(linear, rngs=nnx.Rngs(0))
    assert audit(model, inputs=(X,), optimizer=made(optax.adamw(0.1))).findings == []


def test_the_first_step_is_told_where_filters_differ():
    model = Net(nnx.Rngs(0))
    head = nnx.PathContains("head")
    adam = optax.adam(0.1)
    (one,) = audit(model, optimizer=made(adam), gradients=nnx.DiffState(0, head)).findings
    assert (one.rule, one.path) == ("wrt-differs", "optimizer.wrt")
    assert "the first update raises ValueError" in one.what
    assert one.place.text.strip().startswith("return lambda model")
    assert found(model, made(adam, head), gradients=nnx.Param) == [("unused-gradient", "optimizer.wrt")]
    assert found(model, made(adam), gradients=gradient(model)) == []
    of_head = nnx.grad(lambda m: m(X).sum(), argnums=nnx.DiffState(0, head))(model)
    assert found(model, made(adam), gradients=of_head) == [("wrt-differs", "optimizer.wrt")]
    assert found(model, made(adam, nnx.PathContains("haed")), gradients=nnx.Param) == [
        ("wrt-matches-nothing", "optimizer.wrt")
    ]


def test_the_line_that_chose_the_filter_is_named(monkeypatch):
    """A function has the line that says `wrt=`, or else its first, and an optimizer has none."""
    adam, nothing = optax.adam(0.1), nnx.PathContains("haed")

    def make(model):
        """The filter is chosen further below."""
        optimizer = nnx.Optimizer(
            model,
            optax.chain(adam),
            wrt=nothing,  # here
        )
        return functools.partial(lambda *, wrt: wrt, wrt=optimizer)()

    def make_by_place(model):  # here
        return made(adam, nothing)(model)

    arguments = {
        "optimizer": lambda model: nnx.Optimizer(model, adam, wrt=nothing),  # here
    }
    for optimizer in (make, make_by_place, arguments["optimizer"]):
        (one,) = audit(Net(nnx.Rngs(0)), optimizer=optimizer).findings
        assert (one.rule, one.place.file) == ("wrt-matches-nothing", __file__)
        assert one.place.text.endswith("# here\n")
    (one,) = audit(Net(nnx.Rngs(0)), optimizer=make(Net(nnx.Rngs(0)))).findings
    assert one.place is None
    (one,) = audit(Net(nnx.Rngs(0)), optimizer=functools.partial(make)).findings
    assert one.place is None
    unwritten = eval("lambda model: make(model)", {"make": make})
    monkeypatch.setitem(linecache.cache, "<string>", (9, None, ["import sys\n"], "<string>"))  # as Python 3.13 does
    (one,) = audit(Net(nnx.Rngs(0)), optimizer=unwritten).findings
    assert one.place is None


def test_the_filter_and_the_state_of_an_optimizer_have_rows():
    model = nnx.Dict(w=nnx.Param(jnp.ones(2)))
    optimizer = made(optax.sgd(0.1, momentum=0.9))(model)
    first, *others = step(model, optimizer).rows
    assert first == Row("optimizer.wrt", "static", nnx.Param, (nnx.Optimizer,), True, (), None)
    assert [(row.path, row.home) for row in others] == [
        ("optimizer.opt_state.0.trace.w", "OptVariable"),
        ("optimizer.step", "OptState"),
    ]
    assert {(row.around, row.is_attribute, row.also, row.place) for row in others} == {
        ((nnx.Optimizer,), False, (), None)
    }


def test_a_rule_that_takes_no_loss_is_given_none():
    def halved(updates, state, params):
        return jax.tree.map(lambda array: array / -2, updates), state

    rule = optax.GradientTransformation(lambda params: optax.EmptyState(), halved)
    model = nnx.Dict(w=nnx.Param(jnp.ones(2)), counts=nnx.Variable(jnp.array([0])), none=nnx.Variable(jnp.zeros(0)))
    taken = step(model, made(rule), nnx.Param)
    assert (taken.first, taken.moved, taken.decayed) == (FITS, {"w": 0.5, "counts": 0.0, "none": 0.0}, {})


def test_a_rule_that_takes_a_loss_is_given_one():
    model = nnx.Dict(w=nnx.Param(jnp.ones(2)))
    taken = step(model, made(optax.chain(optax.sgd(0.5), optax.contrib.reduce_on_plateau())), nnx.Param)
    assert (taken.first, taken.moved) == (FITS, {"w": 0.5})


def test_of_several_arrays_the_most_that_moves_is_told_and_the_least_that_decays():
    def by_size(updates, state, params):
        return jax.tree.map(lambda array: (array + 1) * array.size / -32, updates), state

    def decays(updates, state, params):
        whole = jax.tree.map(lambda array, value: array - value * array.size / 32, updates, params)
        return whole, state

    arrays = {name: jnp.ones(size) for name, size in (("a", 2), ("b", 3), ("c", 1), ("none", 0))}
    model = nnx.Dict(w=nnx.Param(arrays), none=nnx.Param(jnp.zeros(0)))
    moves, shrinks = (optax.GradientTransformation(lambda params: optax.EmptyState(), one) for one in (by_size, decays))
    assert step(model, made(moves), nnx.Param).moved == {"w": 6 / 32, "none": 0.0}
    assert step(model, made(shrinks), nnx.Param).decayed == {"w": 1 / 32}


@pytest.mark.parametrize("tx", [optax.sgd(0.1), optax.adam(0.1), optax.adamw(0.1)])
def test_a_param_that_holds_a_dict_is_trained_like_another(tx):
    """An update makes a State of the dict."""
    model = nnx.Dict(w=nnx.Param({"a": jnp.ones(2), "b": jnp.ones(3)}))
    optimizer = made(tx)(model)
    for _ in range(2):
        assert found(model, optimizer) == []
        optimizer.update(model, nnx.grad(lambda m: m.w["a"].sum() + m.w["b"].sum())(model))


def test_a_decay_is_what_its_first_step_takes():
    model = nnx.Dict(kernel=nnx.Param(jnp.ones(2)), bias=nnx.Param(jnp.ones(2)))
    half = optax.chain(
        optax.add_decayed_weights(0.5, mask=param_mask(model, nnx.PathContains("kernel"))), optax.sgd(1.0)
    )
    assert step(model, made(half), nnx.Param).decayed == {"kernel": 0.5}


def test_an_empty_value_does_not_end_the_wait_for_a_decay():
    model = nnx.Dict(kernel=nnx.Param(jnp.ones(2)), none=nnx.Param(jnp.zeros(0)))
    waits = optax.MultiSteps(optax.chain(optax.add_decayed_weights(0.5), optax.sgd(1.0)), 3)
    assert step(model, made(waits), nnx.Param).decayed == {"kernel": 0.5}


def test_what_is_no_float_as_a_whole_has_no_decay():
    model = nnx.Dict(kernel=nnx.Param(jnp.ones(2)), both=nnx.Param({"a": jnp.ones(2), "b": jnp.arange(2)}))
    assert step(model, made(optax.adamw(1.0, weight_decay=0.5)), nnx.Param).decayed == {"kernel": 0.5}


def test_a_rule_that_raises_a_type_error_of_its_own_is_told_so():
    def raises(updates, state, params):
        raise TypeError("no such thing")

    rule = optax.GradientTransformation(lambda params: optax.EmptyState(), raises)
    with pytest.raises(ValueError, match="optimizer raises when it makes a step: TypeError: no such thing"):
        step(nnx.Dict(w=nnx.Param(jnp.ones(2))), made(rule), nnx.Param)


def test_a_rule_that_wants_more_than_a_loss_is_not_tried():
    model = nnx.Dict(w=nnx.Param(jnp.ones(2)))
    rule = made(optax.scale_by_backtracking_linesearch(3))
    taken = step(model, rule, nnx.Param)
    assert (taken.first, taken.moved, taken.decayed) == (UNTRIED, {}, {})
    two = nnx.Dict(w=nnx.Param(jnp.ones(2)), v=nnx.Param(jnp.ones(2)))
    (one,) = audit(two, optimizer=rule, gradients=nnx.PathContains("w"), select=["wrt-differs"]).findings
    assert one.what == (
        "a filter that matches 2 leaves, of which `v` gets no gradient: the first update was not tried, since its rule "
        "wants more than gradients and a loss."
    )


def test_an_update_may_raise_nothing_although_a_gradient_is_missing():
    def still(grads, state, params):
        return jax.tree.map(jnp.zeros_like, params), state

    rule = optax.GradientTransformation(lambda params: optax.EmptyState(), still)
    model = nnx.Dict(w=nnx.Param(jnp.ones(2)), v=nnx.Param(jnp.ones(2)))
    (one,) = audit(model, optimizer=made(rule), gradients=nnx.PathContains("w"), select=["wrt-differs"]).findings
    assert one.what.endswith("the first update raises nothing.")


def test_moments_of_another_model_are_found():
    model = Net(nnx.Rngs(0))
    optimizer = made(optax.adam(0.1))(model)
    optimizer.update(model, gradient(model))
    assert found(model, optimizer) == []
    model.head = nnx.Linear(2, 1, rngs=nnx.Rngs(1))
    (one,) = audit(model, optimizer=optimizer).findings
    assert one.rule == "foreign-optimizer"
    assert "gives `head.bias` the shape (2,), not (1,)" in one.what
    renewed = made(optax.adam(0.1))(model)
    carry_over(optimizer, renewed)
    assert found(model, renewed) == []
    model.extra = nnx.Linear(2, 2, rngs=nnx.Rngs(2))
    (one,) = audit(model, optimizer=renewed).findings
    assert "does not fit `extra.bias`, `extra.kernel`. The first update raises ValueError" in one.what
    del model.extra, model.head
    (one,) = audit(model, optimizer=renewed).findings
    assert one.what.startswith(
        "an optimizer that was made for other leaves: what it remembers does not fit `head.bias`, `head.kernel`. The "
        "first update raises ValueError."
    )


def test_what_has_no_moments_belongs_to_no_model():
    model = Net(nnx.Rngs(0))
    optimizer = made(optax.sgd(0.1))(model)
    model.head = nnx.Linear(2, 3, rngs=nnx.Rngs(1))
    assert found(model, optimizer) == []


def test_an_optimizer_that_holds_another_model_is_found():
    model, twin = Net(nnx.Rngs(0)), Net(nnx.Rngs(0))
    adam = optax.adam(0.1)
    (one,) = audit(model, optimizer=nnx.ModelAndOptimizer(twin, adam), select=ABOUT_OPTIMIZERS).findings
    assert (one.rule, one.path, one.what, one.write) == (
        "foreign-optimizer",
        "optimizer.wrt",
        "an optimizer that holds another model: each update moves that one, and this one stays as it is.",
        "`nnx.Optimizer(model, …)` of this model, and `optimizer.update(model, grads)`.",
    )
    assert found(model, nnx.ModelAndOptimizer(model, adam)) == []
    assert found(model, lambda model: nnx.ModelAndOptimizer(model, adam)) == []


def test_neither_the_model_nor_the_optimizer_is_changed():
    model = Net(nnx.Rngs(0))
    optimizer = made(optax.adamw(0.1))(model)
    run = nnx.Dict(model=model, optimizer=optimizer)
    before = nnx.clone(run)
    first, second = (audit(model, optimizer=optimizer, gradients=nnx.Param, select=RULES) for _ in range(2))
    assert not differences(before, run)
    assert first.to_json() == second.to_json()
    assert found(model, optimizer)


def test_what_is_donated_is_that_of_copies():
    model, adam = Net(nnx.Rngs(0)), optax.adam(0.1)
    donating = optax.GradientTransformation(adam.init, jax.jit(adam.update, donate_argnums=1))

    def make(model):
        doubled = jax.jit(lambda state: jax.tree.map(lambda array: 2 * array, state), donate_argnums=0)
        nnx.update(model, doubled(nnx.state(model)))
        return nnx.Optimizer(model, donating, wrt=nnx.Param)

    optimizer = made(donating)(model)
    run = nnx.Dict(model=model, optimizer=optimizer)
    before = nnx.clone(run, arrays=True)
    assert found(model, optimizer) == []
    assert not differences(before, run)
    assert found(model, make) == []
    assert not differences(before, run)


def test_an_optimizer_in_the_middle_of_a_run_has_no_decay_of_its_own():
    model = Net(nnx.Rngs(0))
    optimizer = made(optax.adam(0.1))(model)
    for _ in range(3):
        optimizer.update(model, gradient(model))
    assert found(model, optimizer, gradients=nnx.Param) == []


def raising(model):
    raise RuntimeError("no rate")


NO_OPTIMIZER = (
    "optimizer must be an nnx.Optimizer, or a function that takes the model and returns one, got an object of …: wrap "
    "one of Optax, as in nnx.Optimizer(model, tx, wrt=nnx.Param)."
)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"optimizer": optax.adam(0.1)}, NO_OPTIMIZER.replace("…", "optax.GradientTransformationExtraArgs")),
        ({"optimizer": lambda model: {}}, NO_OPTIMIZER.replace("…", "builtins.dict")),
        ({"optimizer": nnx.Optimizer}, NO_OPTIMIZER.replace("…", "flax.Optimizer")),
        ({"optimizer": Counting(nnx.Rngs(0))}, NO_OPTIMIZER.replace("…", "test_audit_optimizers.Counting")),
        ({"optimizer": raising}, "optimizer could not be made of the model: RuntimeError: no rate"),
        ({"gradients": nnx.Param}, "gradients are compared with an optimizer, and none was given: add optimizer=…."),
        (
            {"optimizer": made(optax.adam(0.1)), "gradients": 3},
            "gradients must be the filter of the gradient, an nnx.DiffState, or the State that nnx.grad returned, got "
            "int: write gradients=nnx.Param.",
        ),
    ],
)
def test_what_is_no_optimizer_is_said_in_one_message(arguments, said):
    with pytest.raises((TypeError, ValueError)) as raised:
        audit(Net(nnx.Rngs(0)), **arguments)
    assert str(raised.value) == said


def test_an_abstract_model_takes_no_step():
    model = nnx.eval_shape(lambda: Net(nnx.Rngs(0)))
    with pytest.raises(ValueError, match="An abstract model cannot be called, trained or saved"):
        audit(model, optimizer=made(optax.adam(0.1)))


def test_a_mask_of_params_is_said_as_what_it_raises():
    model = Net(nnx.Rngs(0))
    mask = jax.tree.map(lambda leaf: leaf.ndim > 1, nnx.state(model, nnx.Param))
    with pytest.raises(ValueError, match="optimizer raises when it makes a step: ValueError: pytree structure error"):
        audit(model, optimizer=made(optax.adamw(0.1, mask=mask)))


def test_a_rule_that_does_not_fit_the_model_any_more_is_said_as_what_it_raises():
    model = Net(nnx.Rngs(0))
    mask = jax.tree.map(lambda leaf: True, nnx.state(model, nnx.Param))
    optimizer = made(optax.masked(optax.adam(0.1), mask))(model)
    model.extra = nnx.Linear(2, 2, rngs=nnx.Rngs(2))
    with pytest.raises(ValueError, match=r"^optimizer cannot be made anew for this model: ValueError: .+"):
        audit(model, optimizer=optimizer)
