"""The counter of traces, the check for what a step left alone, and the transforms that they watch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from nnx_state import MultiParam, TraceCounter, unchanged

JITS = pytest.mark.parametrize("jit", [jax.jit, nnx.jit], ids=["jax.jit", "nnx.jit"])
SGD = optax.sgd(0.1)


def new(**attributes):
    model = MultiParam(4, 2, rngs=nnx.Rngs(0))
    for name, value in attributes.items():
        setattr(model, name, value)
    return model


def visit(model, x=None, flag=True):
    """Return nothing."""


@JITS
def test_a_call_without_a_trace_is_not_counted(jit):
    counter = TraceCounter(lambda x: 2 * x, at_most=1)
    compiled = jit(counter)
    assert [compiled(jnp.float32(number)) for number in range(3)] == [0, 2, 4]
    assert counter.traces == 1


def test_an_eager_call_is_counted_each_time():
    counter = TraceCounter(visit)
    for _ in range(3):
        assert counter(new()) is None
    assert counter.traces == 3
    assert (counter.__name__, counter.__doc__) == ("visit", "Return nothing.")


@JITS
@pytest.mark.parametrize(
    ("first", "second", "change"),
    [
        ((new(), jnp.ones(3)), (new(), jnp.ones(4)), "x: float32[3] -> float32[4]"),
        ((new(), jnp.ones(3)), (new(), jnp.ones(3, jnp.int32)), "x: float32[3] -> int32[3]"),
        ((new(), np.ones(3, np.float32)), (new(), np.ones(4, np.float32)), "x: float32[3] -> float32[4]"),
        ((new(), 1), (new(), 1.0), "x: ~int32[] -> ~float32[]"),
        ((new(), None), (new(), jnp.ones(3)), "x: None -> float32[3]"),
        ((new(), None, True), (new(), None, False), "flag: True -> False"),
        ((new(kind=np.float32),), (new(kind=str),), "model.kind: a type -> another type"),
        ((new(epoch=0),), (new(epoch=1),), "model.epoch: 0 -> 1"),
        ((new(),), (new(epoch=1),), "model.epoch: absent -> 1"),
        ((new(epoch=1),), (new(),), "model.epoch: 1 -> absent"),
        ((new(act=new),), (new(act=visit),), "model.act: a function -> another function"),
        ((new(),), (new(act=visit),), "model.act: absent -> a function"),
        ((new(),), (new(count=nnx.Param(0.0)),), "model.count: Variable ~float32[] -> Param ~float32[]"),
        (
            (new(),),
            (new(count=nnx.Variable(jnp.zeros(()))),),
            "model.count: Variable ~float32[] -> Variable float32[]",
        ),
        ((new(epoch=0, run=0),), (new(epoch=1, run=2),), "model.epoch: 0 -> 1, model.run: 0 -> 2"),
    ],
)
def test_one_trace_too_many_is_explained(jit, first, second, change):
    counter = TraceCounter(visit, at_most=1)
    compiled = jit(counter, static_argnames="flag")
    compiled(*first)
    with pytest.raises(RuntimeError) as caught:
        compiled(*second)
    assert str(caught.value) == f"visit may be traced 1x, got trace 2: {change}"
    assert counter.traces == 2


def test_a_limit_of_two_compares_with_the_last_trace():
    compiled = nnx.jit(TraceCounter(visit, at_most=2))
    compiled(new(epoch=0))
    compiled(new(epoch=1))
    with pytest.raises(RuntimeError) as caught:
        compiled(new(epoch=2))
    assert str(caught.value) == "visit may be traced 2x, got trace 3: model.epoch: 1 -> 2"


def test_compiling_anew_is_named():
    counter = TraceCounter(visit, at_most=1)
    nnx.jit(counter)(new())
    with pytest.raises(RuntimeError) as caught:
        nnx.jit(counter)(new())
    assert str(caught.value) == (
        "visit may be traced 1x, got trace 2: no argument changed: is the function compiled anew each time?"
    )


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (
            lambda model: nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param),
            "x.tx.init: a function -> another function, x.tx.update: a function -> another function",
        ),
        (
            lambda model: nnx.Optimizer(model, SGD, wrt=lambda path, leaf: True),
            "x.wrt: a function -> another function",
        ),
    ],
    ids=["fresh tx", "fresh lambda"],
)
def test_a_fresh_optimizer_traces_again(make, change):
    compiled = nnx.jit(TraceCounter(visit, at_most=1))
    compiled(new(), make(new()))
    with pytest.raises(RuntimeError) as caught:
        compiled(new(), make(new()))
    assert str(caught.value) == f"visit may be traced 1x, got trace 2: {change}"


def test_a_fresh_optimizer_of_the_same_parts_does_not():
    compiled = nnx.jit(TraceCounter(visit, at_most=1))
    for _ in range(3):
        compiled(new(), nnx.Optimizer(new(), SGD, wrt=nnx.Param))


def test_a_static_counter_traces_at_each_change_and_a_variable_does_not():
    def bump(model):
        if isinstance(model.seen, nnx.Variable):
            model.seen[...] += 1
        else:
            model.seen = model.seen + 1

    for seen, traces in [(0, 3), (jnp.int32(0), 1), (nnx.Variable(jnp.int32(0)), 1)]:
        model, counter = new(seen=seen), TraceCounter(bump)
        compiled = nnx.jit(counter)
        for _ in range(3):
            compiled(model)
        assert (int(model.seen), counter.traces) == (3, traces)


UNCOMPILED = "function must be a Python function that is not compiled yet"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (nnx.jit(visit),),
            TypeError,
            f"{UNCOMPILED}, got a JitWrapped: count first, then compile: nnx.jit(TraceCounter(step)).",
        ),
        (
            (jax.jit(visit),),
            TypeError,
            f"{UNCOMPILED}, got a PjitFunction: count first, then compile: nnx.jit(TraceCounter(step)).",
        ),
        ((3,), TypeError, f"{UNCOMPILED}, got a int: count first, then compile: nnx.jit(TraceCounter(step))."),
        ((visit, 0), ValueError, "at_most must be an int from 1 to 2147483647, got 0: pass a number such as 4."),
        (
            (visit, 1.0),
            TypeError,
            "at_most must be an int from 1 to 2147483647, got 1.0 of type float: pass a number such as 4.",
        ),
    ],
)
def test_a_bad_function_or_limit_is_named(arguments, error, message):
    with pytest.raises(error) as caught:
        TraceCounter(*arguments)
    assert str(caught.value) == message


def test_wrong_arguments_are_python_errors():
    with pytest.raises(TypeError, match="missing a required argument: 'model'"):
        TraceCounter(visit)()


@given(st.sets(st.sampled_from(["bias", "count", "kernel"])))
def test_exactly_the_untouched_leaves_are_named(touched):
    model = new()
    before = nnx.clone(model)
    for name in touched:
        getattr(model, name)[...] += 1
    left_alone = sorted({"bias", "count", "kernel"} - touched)
    assert unchanged(before, model, ...) == left_alone
    assert unchanged(before, model) == [name for name in left_alone if name != "count"]


def test_a_change_is_a_change_of_bits():
    before = new(seen=jnp.float32(0), rngs=nnx.Rngs(0), sub=nnx.List([nnx.Param(jnp.float32("nan"))]))
    model = nnx.clone(before)
    everything = ["bias", "count", "kernel", "rngs.default.count", "rngs.default.key", "seen", "sub.0"]
    assert unchanged(before, model, ...) == everything
    model.seen = jnp.float32(-0.0)
    model.count.set_value(jnp.zeros(()).astype(jnp.int32))  # the same bytes in another dtype
    model.bias.set_value(jnp.zeros((2, 1)))  # the same bytes in another shape
    model.rngs.params()
    assert unchanged(before, model, ...) == ["kernel", "rngs.default.key", "sub.0"]
    model.rngs.default.key[...] = jax.random.key(1)
    assert unchanged(before, model, ...) == ["kernel", "sub.0"]


PATHS = "before and model must hold the same paths"


def test_a_comparison_that_says_nothing_is_refused():
    model = new()
    with pytest.raises(ValueError, match="must be a copy") as caught:
        unchanged(model, model)
    assert str(caught.value) == (
        "before must be a copy, got the model's own ['bias', 'kernel']: take nnx.clone(model) before the step."
    )
    with pytest.raises(ValueError, match="must match a leaf") as caught:
        unchanged(nnx.clone(model), model, "no such name")
    assert str(caught.value) == (
        "only must match a leaf of the model, got 'no such name', which matches none: pass `...` for all."
    )
    with pytest.raises(ValueError, match=PATHS) as caught:
        unchanged(nnx.Linear(4, 2, use_bias=False, rngs=nnx.Rngs(0)), model)
    assert str(caught.value) == f"{PATHS}, got ['bias'] in one only: clone this model."


@JITS
def test_a_traced_model_is_refused(jit):
    with pytest.raises(TypeError) as caught:
        jit(lambda model: unchanged(nnx.clone(model), model))(new())
    assert str(caught.value) == "unchanged must read numbers, got a traced model: call it outside of jit."


def step(model, optimizer):
    model.seen = model.seen + 1
    model.count[...] += 1
    grads = nnx.grad(lambda model: jnp.mean(model(jnp.ones(4)) ** 2))(model)
    optimizer.update(model, grads)
    return model


@pytest.mark.parametrize(
    ("jit", "lost"), [(jax.jit, ["bias", "count", "kernel", "seen"]), (nnx.jit, [])], ids=["jax.jit", "nnx.jit"]
)
def test_jax_jit_trains_a_copy(jit, lost):
    model = new(seen=jnp.int32(0))
    before = nnx.clone(model)
    optimizer = nnx.Optimizer(model, SGD, wrt=nnx.Param)
    returned = jit(step)(model, optimizer)
    assert unchanged(before, model, ...) == lost
    assert unchanged(before, returned, ...) == []


def test_a_plain_array_assigned_eagerly_survives_split_and_merge():
    model = new()
    model.last = jnp.float32(3)
    assert nnx.merge(*nnx.split(model)).last == 3


@pytest.mark.parametrize(("lib", "count"), [(jax.lax, 0), (nnx, 6)], ids=["jax.lax", "nnx"])
def test_control_flow_inside_nnx_jit_writes_back_with_nnx_alone(lib, count):
    def bump(model):
        model.count[...] += 1
        return model

    @nnx.jit
    def run(model):
        lib.cond(True, bump, lambda model: model, model)
        lib.while_loop(lambda model: model.count[...] < 3, bump, model)
        lib.fori_loop(0, 3, lambda i, model: bump(model), model)

    model = new(count=nnx.Variable(jnp.int32(0)))
    run(model)
    assert model.count[...] == count
