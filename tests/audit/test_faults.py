"""The faults that a model can have, each with the rule that finds it, and beside it what is like it and right."""

import dataclasses
import functools
from collections import deque

import jax
import jax.numpy as jnp
import numpy
import pytest
from flax import nnx

from nnx_state import differences
from nnx_state.audit import audit
from nnx_state.audit.calling import CallError, Inputs
from nnx_state.audit.effects import effects
from nnx_state.audit.programs import Program, program
from nnx_state.audit.rules import RULES

X = jnp.ones((3, 2))
INPUTS = Inputs("__call__", (X,))


class Model(nnx.Module):
    """A model with one value, and what a call does with it."""

    def __init__(self, value, call=lambda model, x: x):
        self.value = value
        self.call = call
        self.use_running_average = False

    def __call__(self, x):
        return self.call(self, x)


def counts(model, x):
    model.value[...] += 1
    return x


def replaces(model, x):
    model.value = model.value + 1
    return x


def adds(model, x):
    model.seen = x * 2
    return x


def fills(model, x):
    model.value.append(1)
    return x


def averages(model, x):
    if not model.use_running_average:
        model.value[...] = (0.9 * model.value[...] + 0.1 * x.mean()).astype(model.value.dtype)
    return x


def spoils(model, x):
    model.value[...] += jnp.log(-x.mean())
    return x


def grows(model, x):
    model.value.set_value(jnp.concatenate([model.value[...], x]))
    return x


def widens(model, x):
    model.value.set_value(model.value[...].astype(jnp.float32) + x.mean())
    return x


class Told(nnx.Module):
    """A layer whose call is told its mode, and which hands it on to some of its parts."""

    def __init__(self, *, drops, norms):
        self.drop, self.norm = dropout(), norm()
        self.hands_on = (drops, norms)

    def __call__(self, x, train=True):
        drops, norms = self.hands_on
        x = self.drop(x, deterministic=not train if drops else None)
        return self.norm(x, use_running_average=not train if norms else None)


class Deterministic(Told):
    """It is told by another name."""

    def __call__(self, x, *, deterministic=False):
        return super().__call__(x, not deterministic)


class Typed(Told):
    """It is told by a word."""

    def __call__(self, x, train="yes"):
        return super().__call__(x, train == "yes")


class Once(Told):
    """It can only train."""

    def __call__(self, x, train=True):
        if not train:
            raise ValueError("not here")
        return super().__call__(x)


def draws_always(model, x):
    return model.value(x, deterministic=False)


def attends_always(model, x):
    return model.value(x[None], deterministic=False)


def attention():
    return nnx.MultiHeadAttention(1, 2, dropout_rate=0.5, decode=False, rngs=nnx.Rngs(0))


def checkpointed(transform):
    def call(model, x):
        return transform(lambda value, x: value(x))(model.value, x)

    return call


def mapped(model, x):
    return jax.vmap(lambda value, x: value(x), in_axes=(None, 0))(model.value, x)


def compiled(model, x):
    return jax.jit(lambda value, x: value(x))(model.value, x)


def draws_from_one_key(model, x):
    return x + jax.random.normal(model.value[...], x.shape)


def draws_from_a_new_key(model, x):
    key, model.value[...] = jax.random.split(model.value[...])
    return x + jax.random.normal(key, x.shape)


def collects(model, x):
    model.value.set_value((*model.value.get_value(), x))
    return x


def draws_twice(model, x):
    if model.use_running_average:  # in evaluation
        return x
    key = model.value.noise()
    return x + jax.random.normal(key, x.shape) + jax.random.uniform(key, x.shape)


def linear(seed=0):
    return nnx.Linear(2, 2, rngs=nnx.Rngs(seed))


def norm():
    return nnx.BatchNorm(2, rngs=nnx.Rngs(0))


def dropout():
    return nnx.Dropout(0.5, rngs=nnx.Rngs(0))


def late(*items):
    model = Model([])
    model.value.extend(items)
    return model


def untraceable(value, call):
    """Return a model that JAX cannot trace, since a shape depends on a number of its state."""
    model = Model(value, lambda model, x: call(model, x[: int(model.size[...])]))
    model.size = nnx.Variable(jnp.array(2))
    return model


def closed_over(array):
    return lambda model, x: x + array.sum()


class OfClass(nnx.Module):
    table = jnp.arange(3.0)

    def __call__(self, x):
        return x + self.table.sum()


class WithLayer(nnx.Module):
    layer = linear()


class OfDefault(nnx.Module):
    def __call__(self, x, table=jnp.arange(3.0)):  # noqa: B008  # it is the fault
        return x + table.sum()


class OfKeyword(nnx.Module):
    def __call__(self, x, *, table=jnp.arange(3.0)):  # noqa: B008  # it is the fault
        return x + table.sum()


class OfNumbers(nnx.Module):
    sizes = (2, 3)
    names: dict = {"one": 1}  # noqa: RUF012  # what a class may hold, if it is no array

    def __call__(self, x, scale=2.0, *, axes=(0, 1)):
        return x * scale


def in_evaluation():
    """Return a model whose layers go by their attributes, which are those of evaluation, until it says otherwise."""
    model = Told(drops=False, norms=False)
    model.set_attributes(deterministic=True, use_running_average=True)
    return model


def tied():
    model = nnx.Dict(one=linear())
    model.two = model.one
    return model


FAULTS = {
    "an index table as Param": (lambda: Model(nnx.Param(jnp.arange(3))), "integer-param", "value"),
    "a counter as Param": (lambda: Model(nnx.Param(jnp.array(0.0)), counts), "written-param", "value"),
    "an average as Param": (lambda: Model(nnx.Param(jnp.array(0.0)), averages), "written-param", "value"),
    "a counter as plain array": (lambda: Model(jnp.array(0), replaces), "array-written", "value"),
    "an array that a call adds": (lambda: Model(1, adds), "array-written", "seen"),
    "a counter as BatchStat": (lambda: Model(nnx.BatchStat(jnp.array(0)), counts), "other-role", "value"),
    "a counter as RngCount": (lambda: Model(nnx.RngCount(jnp.array(0), tag="a"), counts), "other-role", "value"),
    "a counter as number": (lambda: Model(0, replaces), "static-written", "value"),
    "a list that is filled in a call": (lambda: Model([], fills), "static-written", "value"),
    "a module in a list": (lambda: late(nnx.Param(jnp.ones(2))), "hidden-state", "value.0"),
    "an array in a tuple": (lambda: late((jnp.ones(2), 1)), "hidden-state", "value.0.0"),
    "an array in a closure": (lambda: Model(1, closed_over(jnp.ones(2))), "hidden-state", "call.array"),
    "an array in a partial": (
        lambda: Model(functools.partial(jnp.add, jnp.ones(2))),
        "hidden-state",
        "value.args.0",
    ),
    "an array in a class": (OfClass, "hidden-state", "table"),
    "a layer in a class": (WithLayer, "hidden-state", "layer.kernel"),
    "an array as default": (OfDefault, "hidden-state", "__call__.table"),
    "an array as default of a keyword": (OfKeyword, "hidden-state", "__call__.table"),
    "two Params of one key": (lambda: nnx.Dict(one=linear(), two=linear()), "same-draw", "two.kernel"),
    "a tied Param": (tied, "tied-param", "one.kernel"),
    "one stream twice": (lambda: nnx.Dict(one=dropout(), two=dropout()), "same-stream", "two.rngs.key"),
    "one key in each call": (
        lambda: Model(nnx.RngKey(jax.random.key(0), tag="noise"), draws_from_one_key),
        "key-reuse",
        "",
    ),
    "one key for two draws": (lambda: Model(nnx.Rngs(0), draws_twice), "key-reuse", ""),
    "averages lost in checkpoint": (
        lambda: Model(norm(), checkpointed(jax.checkpoint)),
        "lost-write",
        "value.mean",
    ),
    "one key for two draws in what cannot be traced": (
        lambda: untraceable(nnx.Rngs(0), draws_twice),
        "key-reuse",
        "",
    ),
    "averages lost in what cannot be traced": (
        lambda: untraceable(norm(), checkpointed(jax.checkpoint)),
        "lost-write",
        "value.mean",
    ),
    "averages lost in jit": (lambda: Model(norm(), compiled), "lost-write", "value.var"),
    "a count lost in vmap": (lambda: Model(dropout(), mapped), "lost-write", "value.rngs.count"),
    "a cache that grows": (lambda: Model(nnx.Cache(jnp.zeros((1, 2))), grows), "compiles-again", "value"),
    "an average that gets wider": (
        lambda: Model(nnx.BatchStat(jnp.zeros((), jnp.bfloat16)), widens),
        "compiles-again",
        "value",
    ),
    "a Dropout that is not told": (lambda: Told(drops=False, norms=True), "mode-unheard", "drop.rngs.count"),
    "an average that is not told": (lambda: Told(drops=True, norms=False), "mode-unheard", "norm.var"),
    "a mode of another name": (
        lambda: Deterministic(drops=False, norms=True),
        "mode-unheard",
        "drop.rngs.count",
    ),
    "a Dropout that always draws": (lambda: Model(dropout(), draws_always), "mode-unheard", "value.rngs.count"),
    "an attention that always drops": (
        lambda: Model(attention(), attends_always),
        "mode-unheard",
        "value.rngs.count",
    ),
    "an average in half precision": (
        lambda: Model(nnx.BatchStat(jnp.zeros((), jnp.bfloat16)), averages),
        "half-average",
        "value",
    ),
    "one stream in a Dropout and elsewhere": (
        lambda: nnx.Dict(one=dropout(), two=Model(dropout().rngs)),
        "same-stream",
        "two.value.key",
    ),
    "a counter in half precision": (
        lambda: Model(nnx.Variable(jnp.zeros((), jnp.bfloat16)), counts),
        "float-counter",
        "value",
    ),
    "a counter in a float": (lambda: Model(nnx.Variable(jnp.zeros(())), counts), "float-counter", "value"),
    "an average that is NaN": (lambda: Model(nnx.BatchStat(jnp.full(2, jnp.nan))), "not-finite", "value"),
    "an average that becomes NaN": (lambda: Model(nnx.BatchStat(jnp.zeros(())), spoils), "not-finite", "value"),
}
RIGHT = {
    "what a call collects": lambda: Model(nnx.Intermediate(()), collects),
    "a counter": lambda: Model(nnx.Variable(jnp.array(0)), counts),
    "an average": lambda: Model(nnx.BatchStat(jnp.zeros(())), averages),
    "averages in a checkpoint of NNX": lambda: Model(norm(), checkpointed(nnx.remat)),
    "a count in a compiled function of NNX": lambda: Model(dropout(), checkpointed(nnx.jit)),
    "what cannot be traced": lambda: untraceable(dropout(), lambda model, x: model.value(x)),
    "averages that cannot be traced": lambda: untraceable(norm(), checkpointed(nnx.remat)),
    "nothing to lose": lambda: Model(linear(), checkpointed(jax.checkpoint)),
    "numbers of a class": OfNumbers,
    "a new key for each draw": lambda: Model(nnx.RngKey(jax.random.key(0), tag="noise"), draws_from_a_new_key),
    "a cache with room": lambda: Model(nnx.Cache(jnp.zeros((3, 2))), counts),
    "a mode that is handed on": lambda: Told(drops=True, norms=True),
    "a mode of another name that is handed on": lambda: Deterministic(drops=True, norms=True),
    "a mode that is no bool": lambda: Typed(drops=False, norms=False),
    "a mode in which it raises": lambda: Once(drops=False, norms=False),
    "attributes that were set": in_evaluation,
    "a Dropout": lambda: Model(dropout(), lambda model, x: model.value(x)),
    "an attention": lambda: Model(attention(), lambda model, x: model.value(x[None])),
    "a list that is read": lambda: Model([1, 2], lambda model, x: x * len(model.value)),
}


def inputs_of(model):
    return (X,) if callable(model) else None


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(fault):
    make, rule, path = FAULTS[fault]
    model = make()
    found = audit(model, inputs=inputs_of(model), select=[rule]).findings
    assert path in [one.path for one in found]


@pytest.mark.parametrize("right", RIGHT)
def test_what_is_right_is_left_alone(right):
    model = RIGHT[right]()
    assert audit(model, inputs=inputs_of(model), select=RULES).findings == []


def test_one_array_is_found_in_two_params_alone():
    array = jnp.ones(2)
    assert audit(nnx.Dict(one=nnx.Variable(array), two=nnx.Param(array)), select=["same-array"]).findings == []
    (one,) = audit(nnx.Dict(one=nnx.Param(array), two=nnx.Param(array)), select=["same-array"]).findings
    assert one.path == "two"


def test_the_same_random_numbers_are_found_in_params_alone():
    def draw(kind):
        return kind({"a": jax.random.normal(jax.random.key(3), (2,)), "b": jnp.arange(3.0)})

    def drawn(**values):
        return [one.path for one in audit(nnx.Dict(**values), select=["same-draw"]).findings]

    assert drawn(one=draw(nnx.Variable), two=draw(nnx.Param)) == []
    assert drawn(one=draw(nnx.Param), two=draw(nnx.Param)) == ["two"]  # once, whatever the second arrays are
    assert drawn(one=nnx.Param(jnp.zeros((0, 2))), two=nnx.Param(jnp.zeros((0, 2)))) == []
    array = jax.random.normal(jax.random.key(3), (2,))
    assert drawn(one=nnx.Param(array), two=nnx.Param(array)) == []  # which is `same-array`


def test_a_tie_is_found_in_params_alone_with_all_its_paths():
    found = {}
    for kind in (nnx.Variable, nnx.Param):
        model = nnx.Dict(one=kind(jnp.ones(1)))
        model.two = model.three = model.one
        found[kind] = audit(model, select=["tied-param"]).findings
    (one,) = found[nnx.Param]
    assert one.what.startswith("a Param that is `three` and `two` too: NNX keeps it one")
    assert found[nnx.Variable] == []


HAND_ON = (
    "the mode into the call of this layer, and of each one on the way, such as "
    "`self.drop(x, deterministic=not train)`; or no such argument, and `model.eval()`."
)
FROM_BEFORE = (
    "a test of the batch before the average takes it in, such as `jnp.where(jnp.isfinite(new), new, old)`; and a state "
    "from before."
)
SAID = {  # where the page of the rule shows another case
    "a counter as RngCount": (
        "an RngCount that belongs to no random stream: what leaves out or resets random state, as "
        "`nnx.Not(nnx.RngState)` does for a checkpoint, takes it along.",
        "`nnx.Variable(…)`, or a type of your own, for what counts.",
    ),
    "a counter as BatchStat": (
        "a BatchStat of int32: what averages all BatchStats, over devices or over time, makes a fraction of it.",
        "`nnx.Variable(…)`, or a type of your own, for what counts.",
    ),
    "an average that gets wider": (
        "bfloat16[] before a call and float32[] after it, and that is part of the program: `nnx.jit` compiles once "
        "more.",
        "a leaf that keeps its shape and dtype: room for all of it in `__init__`, and `.astype(…)` where it is "
        "written.",
    ),
    "a Dropout that always draws": (
        "a layer that `model.eval()` does not reach: it still draws a mask, and two such calls differ by up to 2. Its "
        "call says `deterministic=False`, which goes before what `model.eval()` sets.",
        "no `deterministic=False` in that call.",
    ),
    "a Dropout that is not told": (
        "a layer that `train=False` does not reach: it still draws a mask, and two such calls differ by up to 2.",
        HAND_ON,
    ),
    "an average that is not told": (
        "an average that `train=False` does not reach: such a call still changes it by up to 0.01.",
        HAND_ON,
    ),
    "an array that a call adds": (
        "a plain array that a call adds to the model: it has no type, so that no filter by type finds it, and "
        "`nnx.jit` in tree mode and `jax.jit` forget what the call wrote.",
        "`nnx.Variable(…)` or a type of your own, made in `__init__`; return from the call what nothing keeps.",
    ),
    "an average that is NaN": (
        "a BatchStat with NaN or infinity in 2 of 2 elements: what is added to these or multiplied by them stays so.",
        FROM_BEFORE,
    ),
    "an average that becomes NaN": (
        "a BatchStat with NaN or infinity in 1 of 1 elements after one call in training: what is added to these or "
        "multiplied by them stays so.",
        FROM_BEFORE,
    ),
    "one key for two draws": (
        "a key that an earlier draw took already, in this call or in the one before (JAX: In jit, argument 0 is "
        "already consumed): it draws the same numbers again.",
        "`rngs()` or `rngs.normal(…)`, which take a new key each time; or `jax.random.split` for each draw.",
    ),
    "an array in a closure": (
        "an array of 8 bytes that the state does not hold: gradients, optimizers, filters and checkpoints miss it.",
        "`nnx.List` or `nnx.Dict` in place of a list or a dict; in place of a function or a class that holds it, an "
        "attribute that `__init__` sets.",
    ),
    "a counter in half precision": (
        "a counter in bfloat16: at 256 a call leaves it as it is, since the next number is rounded away.",
        "`nnx.Variable(jnp.array(0))`, an integer, which counts to 2147483647.",
    ),
    "a count lost in vmap": (
        "an RngCount that a function under a transform of JAX writes in this call, in a copy that is thrown away: "
        "after the call it is what it was before.",
        "the transform of NNX with the same name, such as `nnx.remat` for `jax.checkpoint`; or return the new value "
        "from the function, and write it outside.",
    ),
}


@pytest.mark.parametrize("fault", SAID)
def test_what_is_said_of_a_fault(fault):
    make, rule, path = FAULTS[fault]
    model = make()
    report = audit(model, inputs=inputs_of(model), select=[rule])
    assert [(one.what, one.write) for one in report.findings if one.path == path] == [SAID[fault]]


def test_what_cannot_be_traced_really_cannot():
    graphdef, state = nnx.split(untraceable(norm(), checkpointed(jax.checkpoint)))
    with pytest.raises(jax.errors.ConcretizationTypeError):
        jax.make_jaxpr(lambda state: nnx.merge(graphdef, state)(X))(state)


@pytest.mark.parametrize("can_be_traced", [True, False])
def test_the_line_that_takes_a_key_again_is_named(can_be_traced):
    make = Model if can_be_traced else untraceable
    draws = {}
    exec(compile("def draw(key, x): return jax.random.normal(key, x.shape)", "<no file>", "exec"), {"jax": jax}, draws)

    def call(model, x):
        key = model.value.noise()
        return x + draws["draw"](key, x) + draws["draw"](key, x)  # both

    for draw, line in ((draws_twice, "key, x.shape)\n"), (call, "# both\n")):
        (one,) = audit(make(nnx.Rngs(0), draw), inputs=(X,), select=["key-reuse"]).findings
        assert (one.path, one.place.file) == ("", __file__)
        assert one.place.text.startswith("    ")
        assert one.place.text.endswith(line)


def test_a_key_that_each_call_is_given_is_taken_once():
    model = Model(1, lambda model, given: given["x"] + jax.random.normal(given["key"]))
    assert audit(model, inputs=({"x": X, "key": jax.random.key(0)},), select=["key-reuse"]).findings == []


def counts_by(step):
    def call(model, x):
        if not model.use_running_average:  # in training
            model.value[...] += step
        return x

    return call


@pytest.mark.parametrize(("step", "limit"), [(1, 16777216), (2, 33554432), (3, 67108864)])
def test_a_counter_stands_still_where_its_step_is_rounded_away(step, limit):
    (one,) = audit(Model(nnx.Variable(jnp.array(0.0)), counts_by(step)), inputs=(X,), select=["float-counter"]).findings
    assert f"at {limit} a call leaves it as it is" in one.what
    number = jnp.array(limit, jnp.float32)
    assert number + step == number


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [
        (2.0, 5.0, {"value": 3.0}),
        (5.0, 2.0, {}),
        (2.0, 2.5, {}),
        (2.5, 3.0, {}),
        (2, 5, {}),
        ([2.0, 2.0], [5.0, 5.0], {}),
    ],
)
def test_a_step_leads_from_a_whole_number_to_a_higher_one(before, after, steps):
    model = Model(nnx.Variable(jnp.array(before)), lambda model, x: model.value.set_value(jnp.array(after)))
    assert effects(model, INPUTS).steps == steps


def test_what_is_no_variable_or_a_param_is_no_counter_in_a_float():
    for model in (Model(nnx.Param(jnp.array(0.0)), counts), Model(jnp.array(0.0), replaces)):
        assert audit(model, inputs=(X,), select=["float-counter"]).findings == []


def test_what_a_model_shares_with_its_copies_stays_as_it_is():
    model = late(norm())
    model.call = lambda model, x: model.value[0](x)
    hidden = model.value[0]
    before = nnx.clone(hidden, arrays=True)
    audit(model, inputs=(X,))
    assert not differences(before, hidden)


def test_of_what_a_call_adds_the_plain_arrays_are_found():
    def call(model, x):
        model.count, model.seen = nnx.Variable(x * 2), x * 2
        return x

    (one,) = audit(Model(jnp.ones(2), call), inputs=(X,), select=["array-written"]).findings
    assert one.path == "seen"
    assert effects(Model(jnp.array(0), replaces), INPUTS).settings == {}  # no array is a static value


@dataclasses.dataclass
class Table:
    """An object that raises where it is compared."""

    numbers: numpy.ndarray


def test_a_static_value_that_cannot_be_compared_is_told_by_its_type():
    def call(model, x):
        model.value = Table(numpy.ones(2))
        return x

    (one,) = audit(Model(Table(numpy.ones(2)), call), inputs=(X,), select=["static-written"]).findings
    assert "a static value that a call changes from one Table to one Table:" in one.what


def test_a_model_that_compares_metadata_is_traced_all_the_same():
    def call(model, x):
        assert model.value.get_metadata() == model.other.get_metadata()
        jnp.exp(model.other[...])  # for nothing
        return {"out": x * model.value, "one": jnp.array(1.0), "text": "what else a call returns"}

    model = Model(nnx.Param(jnp.ones(2)), call)
    model.other, model.scale = nnx.Param(jnp.ones(2)), nnx.Variable(jnp.ones(2))
    assert program(model, INPUTS).unused == {"other"}


def keeps_its_dtype(variable, value):
    return value.astype(jnp.bfloat16)


@pytest.mark.parametrize("hooks", [keeps_its_dtype, (keeps_its_dtype,)])
def test_the_hooks_of_a_variable_run_while_it_is_watched(hooks):
    model = Model(nnx.BatchStat(jnp.zeros((), jnp.bfloat16)), widens)
    model.value.set_metadata(on_set_value=hooks)
    assert program(model, INPUTS).forms == [{"value": "bfloat16[]"}] * 2


def test_a_model_that_can_neither_be_traced_nor_watched_has_no_program():
    def call(model, x):
        assert model.value.get_metadata() == model.size.get_metadata()
        return x * model.value

    assert program(untraceable(nnx.Param(jnp.ones(2)), call), INPUTS) == Program(set(), set(), [])


def test_a_param_that_a_cache_depends_on_is_used():
    def call(model, x):
        model.cache[...] = model.value * 2
        return x

    model = Model(nnx.Param(jnp.ones(2)), call)
    model.cache = nnx.Cache(jnp.zeros(2))
    assert program(model, INPUTS).unused == set()


@pytest.mark.parametrize("kind", ["ref", "hijax"])
def test_a_model_of_references_is_audited_without_calls(kind):
    model = Model(nnx.BatchStat(jnp.zeros(()), **{kind: True}), counts)
    assert audit(model).findings == []
    with pytest.raises(CallError) as raised:
        audit(model, inputs=(X,))
    assert str(raised.value) == (
        "`value` is a reference, so that a call of a copy would change it too: audit the model without inputs."
    )


def test_of_several_arrays_in_a_param_the_largest_change_is_told():
    def call(model, x):
        model.value.set_value({name: array + 1 + len(name) for name, array in model.value.get_value().items()})
        return x

    param = nnx.Param({"a": jnp.zeros(2), "longer": jnp.zeros(1), "bc": jnp.zeros(3)})
    (one,) = audit(Model(param, call), inputs=(X,), select=["written-param"]).findings
    assert one.what.startswith("a Param that one call in training changes by up to 7: it moves twice")
    assert program(Model(param, call), INPUTS).forms == [{"value": "float32[2], float32[3], float32[1]"}] * 2


def test_a_param_that_grows_is_changed_in_shape():
    (one,) = audit(Model(nnx.Param(jnp.zeros((1, 2))), grows), inputs=(X,), select=["written-param"]).findings
    assert one.what.startswith("a Param that one call in training changes in shape: it moves twice in each step")


def test_what_a_call_takes_away_is_no_part_of_the_program_after_it():
    def call(model, x):
        if hasattr(model, "value"):
            del model.value
        return x

    (one,) = audit(Model(nnx.Param(jnp.ones(2)), call), inputs=(X,), select=RULES, ignore=["unused-param"]).findings
    assert (one.rule, one.what) == (
        "compiles-again",
        "float32[2] before a call and nothing after it, and that is part of the program: `nnx.jit` compiles once more.",
    )


def swaps(model, x):
    model.value[0] = len(model.value) + 7
    return x


@pytest.mark.parametrize(
    ("container", "call", "said"),
    [
        ([], fills, "a list of 0 to a list of 1"),
        ([5], fills, "a list of 1 to a list of 2"),
        (deque([5]), fills, "a deque of 1 to a deque of 2"),
        ({5: 6}, lambda model, x: [model.value.update({7: 8}), x][1], "a dict of 1 to a dict of 2"),
        ({5}, lambda model, x: [model.value.add(7), x][1], "a set of 1 to a set of 2"),
        ([5], swaps, "a list of 1 to a list of 1 others"),
        ({0: 5}, swaps, "a dict of 1 to a dict of 1 others"),
    ],
)
def test_a_container_that_a_call_changes_is_as_it_was_afterwards(container, call, said):
    model = Model(nnx.static(container), call)
    before = type(container)(container)
    (one,) = audit(model, inputs=(X,), select=["static-written"]).findings
    assert f"from {said}:" in one.what
    assert model.value is container
    assert container == before


@pytest.mark.parametrize("name", ["kernel", "bias", "weight", "weights", "scale", "embedding", "w", "b"])
def test_a_weight_is_known_by_its_name(name):
    model = nnx.Module()
    setattr(model, name, jnp.ones(2))
    model.param, model.count = nnx.Param(jnp.ones(3)), nnx.Variable(jnp.array(0))
    (one,) = audit(model, select=["plain-weight"]).findings
    assert (one.path, "its 2 numbers no gradient, beside the 3 of the Params" in one.what) == (name, True)


@pytest.mark.parametrize("argument", ["rngs", "rng", "key", "**options", ""])
def test_an_array_that_was_drawn_is_told_from_a_stencil_by_what_its_layer_takes(argument):
    made = {}
    exec(f"def build(self, {argument}):\n    self.kernel = array", {"array": jnp.arange(2.0)}, made)
    layer = type("Layer", (nnx.Module,), {"__init__": made["build"]})
    model = layer() if argument in ("", "**options") else layer(0)
    found = [one.path for one in audit(model, select=["plain-weight"]).findings]
    assert found == (["kernel"] if argument else [])


class Noisy(nnx.LSTMCell):
    """A cell that draws in each step, from a stream of its own."""

    def __init__(self, seed):
        super().__init__(2, 2, rngs=nnx.Rngs(0))
        self.noise = nnx.Rngs(noise=seed).noise


def test_of_two_rnns_the_carries_may_be_drawn_alike_and_not_what_their_cells_draw():
    def streams(first, second):
        both = nnx.Dict(a=nnx.RNN(Noisy(first), rngs=nnx.Rngs(1)), b=nnx.RNN(Noisy(second), rngs=nnx.Rngs(1)))
        return [one.path for one in audit(both, select=["same-stream"]).findings]

    assert streams(2, 3) == []
    assert streams(2, 2) == ["b.cell.noise.key"]


def test_a_stream_without_numbers_is_not_compared():
    model = nnx.Dict(one=nnx.Rngs(0), two=nnx.Rngs(0))
    assert [one.path for one in audit(model, select=["same-stream"]).findings] == ["two.default.key"]
    model.two.default.count = nnx.RngCount(jax.ShapeDtypeStruct((), jnp.uint32), tag="default")
    assert audit(model, select=["same-stream"]).findings == []


@pytest.mark.filterwarnings("ignore:Using .Module.sow:DeprecationWarning")
def test_what_sow_has_collected_before_is_no_form_of_a_program():
    class Sowing(nnx.Module):
        def __call__(self, x):
            self.sow(nnx.Intermediate, "seen", x)
            return x

    model = Sowing()
    model(X)
    assert audit(model, inputs=(X,), select=["compiles-again"]).findings == []
