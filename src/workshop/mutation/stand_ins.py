"""Stand-ins: small changes of the Flax that is installed, under each of which some claims must turn.

Each is a context in which one thing is otherwise, together with the names of the claims that must turn in it.
"""

import contextlib
import copy
import functools
import itertools
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp
from flax import nnx
from flax.nnx import filterlib, pytreelib


@dataclass(frozen=True)
class StandIn:
    """A Flax that does otherwise in one thing.

    Attributes:
        context: the context in which it does.
        turns: the claims that must turn there: what holds must differ, what differs must hold.
    """

    context: Callable[[], contextlib.AbstractContextManager[None]]
    turns: tuple[str, ...]


STAND_INS: dict[str, StandIn] = {}


def stand_in(*turns: str) -> Callable[[Callable[[], Iterator[None]]], Callable[[], Iterator[None]]]:
    """Register a generator of one step as a stand-in under which these claims must turn."""

    def register(function: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
        STAND_INS[function.__name__] = StandIn(contextlib.contextmanager(function), turns)
        return function

    return register


@contextlib.contextmanager
def instead(owner: Any, **replacements: Any) -> Iterator[None]:
    """Put something in the place of attributes of a module or a class."""
    with contextlib.ExitStack() as stack:
        for name, replacement in replacements.items():
            stack.enter_context(mock.patch.object(owner, name, replacement))
        yield


def variables(node: Any) -> dict[Any, Any]:
    """Return the Variables of a module by path, and none of its plain arrays."""
    return {path: leaf for path, leaf in nnx.to_flat_state(nnx.state(node)) if isinstance(leaf, nnx.Variable)}


def nothing(*arguments: Any, **options: Any) -> None:
    """Do nothing."""


# Writes, and what comes back


@stand_in(
    "a-float-counter-stops",
    "a-write-reaches-every-holder",
    "an-array-that-was-read-stays",
    "classic-variable-survives-merge",
    "clone-is-independent",
    "cond-inside-jit-keeps-a-count",
    "cond-keeps-a-count",
    "counting-in-the-loss-outlives-grad",
    "a-tagged-counter-counts-through-training",
    "fori-keeps-a-count",
    "grad-keeps-a-count",
    "jax-jit-of-split-state",
    "jit-keeps-the-variables",
    "jit-writes-back-a-variable",
    "jit-writes-back-at-each-call",
    "remat-keeps-a-count",
    "scan-carries-a-count",
    "scan-drops-what-is-shared",
    "set-value-writes",
    "state-axes-keep-a-count-whole",
    "switch-keeps-a-count",
    "tree-mode-keeps-a-variable",
    "value-and-grad-keeps-a-count",
    "value-attribute-writes",
    "vmap-counts-one-call",
    "writing-does-not-change-the-label",
    "a-count-for-each-member",
    "a-step-under-nnx-jit",
    "jit-reads-a-closure-once",
)
def writes_are_lost() -> Iterator[None]:
    """A Variable keeps its value, unless one of another shape is written."""
    write = nnx.Variable.set_value

    def lose(self: Any, value: Any) -> None:
        if jnp.shape(value) != self.get_value().shape:
            write(self, value)

    with instead(nnx.Variable, set_value=lose, __setitem__=nothing, value=property(nnx.Variable.get_value, lose)):
        yield


@stand_in("set-value-takes-another-dtype", "set-value-takes-another-shape")
def writes_keep_the_kind() -> Iterator[None]:
    """What is written gets the dtype and the shape of what was there."""
    write = nnx.Variable.set_value

    def fit(self: Any, value: Any) -> None:
        held = self.get_value()
        write(self, jnp.broadcast_to(value, held.shape).astype(held.dtype))

    with instead(nnx.Variable, set_value=fit):
        yield


def on_copies(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Return a transform whose functions get copies of their modules."""

    def transformed(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        compiled = transform(function, **options)

        def copied(argument: Any) -> Any:
            return nnx.clone(argument) if isinstance(argument, nnx.Pytree) else argument

        return lambda *arguments: compiled(*map(copied, arguments))

    return transformed


@stand_in(
    "a-jitted-step-trains",
    "eval-in-jit-leaks",
    "jit-writes-back-a-number",
    "nnx-jit-advances-rngs",
    "nnx-jit-draws-new-masks",
    "python-number-retraces",
    "variable-can-be-added-under-jit",
    "while-keeps-a-count",
    "jax-jit-unties",
)
def transforms_work_on_copies() -> Iterator[None]:
    """What a function under `nnx.jit` or a loop of NNX does to a module does not come back."""

    def while_loop(condition: Any, body: Any, model: Any) -> Any:
        return loop(condition, body, nnx.clone(model))

    def jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        copying = on_copies(compile_)(function, **options)
        return lambda *arguments: untied(copying(*arguments))

    loop, compile_ = nnx.while_loop, nnx.jit
    with instead(nnx, jit=jit, while_loop=while_loop):
        yield


def untied(node: Any) -> Any:
    """Return a module, if it is one, in which no two names share a Variable."""
    return jax.tree.map(lambda leaf: leaf, node) if isinstance(node, nnx.Pytree) else node


@stand_in("variable-written-in-the-loss-under-jax-grad")
def jax_writes_back() -> Iterator[None]:
    """`jax.grad` treats modules as `nnx.grad` does."""
    derive = jax.grad

    def grad(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(model: Any) -> Any:
            with instead(jax, grad=derive):
                return nnx.grad(function)(model)

        return call

    with instead(jax, grad=grad):
        yield


@stand_in("tree-mode-keeps-an-array", "graph-mode-is-the-default", "grad-in-tree-mode-takes-every-leaf")
def tree_mode_is_turned_around() -> Iterator[None]:
    """Tree mode is the default, and what asks for it gets graph mode."""
    setting: Any = nnx.set_graph_mode

    class Turned:
        """The setting, as its opposite."""

        current_value = staticmethod(lambda: not setting.current_value())

        def __new__(cls, mode: bool) -> Any:
            """Return the context of the other mode."""
            return setting(not mode)

    with instead(nnx, set_graph_mode=Turned):
        yield


@stand_in(
    "a-new-attribute-is-traced",
    "a-weak-counter-is-traced-twice",
    "another-shape-is-traced",
    "a-fresh-filter-is-traced",
    "a-fresh-transformation-is-traced-again",
    "metadata-is-static",
    "sow-compiles-again",
)
def jit_traces_once() -> Iterator[None]:
    """`nnx.jit` compiles once, and its first result stands for all."""
    compile_ = nnx.jit

    def jit(function: Callable[..., Any]) -> Callable[..., Any]:
        compiled = compile_(function)
        results: list[Any] = []

        def call(*arguments: Any) -> Any:
            if not results:
                results.append(compiled(*arguments))
            return results[0]

        return call

    with instead(nnx, jit=jit):
        yield


@stand_in(
    "a-fresh-optimizer-is-not-traced-again",
    "a-model-made-anew-is-not-traced",
    "a-step-is-traced-once",
    "eval-is-traced",
    "new-arrays-are-not-traced",
    "jit-makes-a-variable",
    "data-survives-jit",
)
def jit_never_compiles() -> Iterator[None]:
    """`nnx.jit` runs the function as it is, at each call."""
    with instead(nnx, jit=lambda function: function):
        yield


@stand_in(
    "abstract-model-is-a-target",
    "eval-shape-keeps-a-variable",
    "restore-a-variable-by-shape",
    "remat-keeps-a-count",
    "value-and-grad-keeps-a-count",
)
def nothing_is_traced() -> Iterator[None]:
    """What makes shapes or derivatives runs the function as it is."""
    plain: Any = lambda function: function  # noqa: E731 - the same for three
    with instead(nnx, eval_shape=lambda function: function(), remat=plain, value_and_grad=plain):
        yield


@stand_in(
    "eval-shape-keeps-a-plain-array",
    "restore-a-plain-array-by-shape",
    "list-made-under-a-trace",
)
def tracers_are_data() -> Iterator[None]:
    """An array under a trace is recognized as data."""
    tracers = {type(leaf) for leaf in traced_kinds()}
    with instead(pytreelib, DATA_REGISTRY=pytreelib.DATA_REGISTRY | tracers):
        yield


def traced_kinds() -> list[Any]:
    """Return an array as JAX shows it to a function that it traces."""
    seen: list[Any] = []
    jax.eval_shape(seen.append, jnp.zeros(()))
    return seen


# Gradients and optimizers


def over_every_variable(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Return a transform that differentiates every Variable, unless it is told what."""

    def transformed(function: Callable[..., Any], argnums: Any = 0, **options: Any) -> Any:
        def whole(argument: Any) -> Any:
            return nnx.DiffState(argument, nnx.Variable) if isinstance(argument, int) else argument

        chosen = tuple(map(whole, argnums)) if isinstance(argnums, tuple) else whole(argnums)
        return transform(function, argnums=chosen, **options)

    return transformed


@stand_in(
    "classic-variables-get-no-gradient",
    "grad-of-the-second-model",
    "grad-of-two-models-is-a-pair",
    "grad-takes-the-params",
    "integer-variable-under-grad",
    "jax-grad-of-split-params",
    "own-type-is-not-trained",
    "grad-passes-by-the-cache",
)
def grad_takes_every_variable() -> Iterator[None]:
    """`nnx.grad` differentiates every Variable, not the Params alone."""
    with instead(nnx, grad=over_every_variable(nnx.grad)):
        yield


@stand_in(
    "a-bias-that-is-a-variable-stays-zero",
    "a-filter-differentiates-a-variable",
    "classic-class-decides",
    "classic-params-get-gradients",
    "diffstate-names-argument-and-filter",
    "grad-sums-over-a-tie",
    "plain-optax-trains-the-params",
    "the-loss-moves-a-tagged-counter",
    "value-and-grad-returns-both",
    "wrt-variable-trains-a-variable",
    "jax-grad-splits-a-tie",
)
def gradients_are_zero() -> Iterator[None]:
    """Every gradient is zero."""

    def of(transform: Callable[..., Any]) -> Callable[..., Any]:
        def transformed(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
            derived = transform(function, **options)
            return lambda *arguments: jax.tree.map(jnp.zeros_like, derived(*arguments))

        return transformed

    with instead(nnx, grad=of(nnx.grad)), instead(jax, grad=of(jax.grad)):
        yield


@stand_in("tagged-counter-has-gradient-zero")
def gradients_are_one() -> Iterator[None]:
    """Every gradient of NNX is one."""
    derive = nnx.grad

    def grad(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        return lambda *arguments: jax.tree.map(jnp.ones_like, derive(function, **options)(*arguments))

    with instead(nnx, grad=grad):
        yield


def after_update(change: Callable[[Any, Any, dict[Any, Any]], None]) -> Any:
    """Return an `update` of an optimizer after which something else happens, with what the Variables held before."""
    update = nnx.Optimizer.update

    def changed(self: Any, model: Any, grads: Any, **options: Any) -> None:
        before = {path: leaf.get_value() for path, leaf in variables(model).items()}
        update(self, model, grads, **options)
        change(model, grads, before)

    return instead(nnx.Optimizer, update=changed)


@stand_in(
    "a-filter-freezes-by-path",
    "an-own-type-freezes",
    "another-name-is-still-trained",
    "classic-optimizer-leaves-variables",
    "classic-tagged-counter-is-updated",
    "lora-filter-trains-the-adapter",
    "optimizer-leaves-batch-stats",
    "sgd-and-adam-leave-a-tagged-counter",
    "a-bias-that-is-a-variable-stays-zero",
)
def a_step_moves_every_variable() -> Iterator[None]:
    """A step changes every Variable of real numbers, whatever `wrt` says."""

    def move(model: Any, grads: Any, before: dict[Any, Any]) -> None:
        for leaf in variables(model).values():
            if jnp.issubdtype(leaf.get_value().dtype, jnp.floating):
                leaf.set_value(leaf.get_value() + 1.0)

    with after_update(move):
        yield


@stand_in(
    "a-frozen-layer-still-writes",
    "classic-bias-is-trained-as-param",
    "classic-optimizer-updates-params",
    "lora-filter-trains-the-adapter",
    "model-and-optimizer",
    "param-subclass-is-trained",
    "the-optimizer-counts-its-steps",
    "two-optimizers-train-as-one",
    "whole-state-resumes",
)
def a_step_does_nothing() -> Iterator[None]:
    """A step of an optimizer changes nothing."""
    with instead(nnx.Optimizer, update=nothing):
        yield


@stand_in("adam-goes-on-without-a-gradient", "stop-gradient-freezes", "weight-decay-shrinks-a-tagged-counter")
def zero_gradients_freeze() -> Iterator[None]:
    """A step leaves alone what has a gradient of zero."""

    def restore(model: Any, grads: Any, before: dict[Any, Any]) -> None:
        leaves = variables(model)
        for path, gradient in nnx.to_flat_state(grads):
            if not bool(jnp.any(gradient.get_value())):
                leaves[path].set_value(before[path])

    with after_update(restore):
        yield


@stand_in("metadata-freezes")
def flags_freeze() -> Iterator[None]:
    """A step leaves alone what has the metadata `trainable=False`."""

    def restore(model: Any, grads: Any, before: dict[Any, Any]) -> None:
        for path, leaf in variables(model).items():
            if leaf.get_metadata().get("trainable") is False:
                leaf.set_value(before[path])

    with after_update(restore):
        yield


@stand_in("masked-freezes")
def masks_freeze() -> Iterator[None]:
    """`optax.masked` takes out the updates that its mask leaves out."""
    masked = optax.masked

    def freezing(inner: Any, mask: Any) -> Any:
        def others(params: Any) -> Any:
            return jax.tree.map(lambda chosen: not chosen, mask(params))

        return optax.chain(masked(inner, mask), masked(optax.set_to_zero(), others))

    with instead(optax, masked=freezing):
        yield


@stand_in("adapter-trains-its-base")
def adapters_freeze() -> Iterator[None]:
    """The Params of an adapter are the only ones of its layer."""

    def freeze(model: Any, grads: Any, before: dict[Any, Any]) -> None:
        for path, leaf in variables(model).items():
            if not isinstance(leaf, nnx.LoRAParam):
                leaf.set_value(before[path])

    with after_update(freeze):
        yield


@stand_in("stop-gradient-gives-zero")
def gradients_do_not_stop() -> Iterator[None]:
    """`jax.lax.stop_gradient` stops nothing."""
    with instead(jax.lax, stop_gradient=lambda x: x):
        yield


# Filters, states and merges


@stand_in(
    "any-all-and-not-combine",
    "batch-norm-has-two-types",
    "bool-filters-are-all-or-nothing",
    "callable-gets-the-path",
    "classic-state-of-params",
    "classic-types-are-distinct",
    "dropout-adds-random-state",
    "init-cache-makes-caches",
    "leaves-count-the-parameters",
    "moments-of-the-params-alone",
    "nnx-dict-holds-layers",
    "nnx-list-holds-layers",
    "not-param-selects-the-rest",
    "of-type-matches-subclasses",
    "own-type-has-its-filter",
    "param-filter-goes-deep",
    "path-contains-a-name",
    "random-state-is-no-param",
    "split-leaves-nothing-over",
    "state-leaves-out-the-rest",
    "stored-rngs-are-state",
    "string-is-a-tag",
    "subclass-goes-before-its-base",
    "tuple-means-any",
)
def filters_match_everything() -> Iterator[None]:
    """Every filter selects every leaf."""
    with instead(filterlib, to_predicate=lambda chosen: lambda path, leaf: True):
        yield


@stand_in(
    "classic-state-of-variables",
    "classic-variable-is-state",
    "sequential-holds-layers",
    "data-marks-a-list",
    "nnx-list-grows",
    "no-pytree-takes-a-list",
    "variable-can-be-added-later",
    "a-variable-replaces-another",
)
def states_are_empty() -> Iterator[None]:
    """`nnx.state` and `nnx.split` return empty states."""

    def split(node: Any, *filters: Any) -> Any:
        return nnx.graphdef(node), nnx.State({})

    with instead(nnx, state=lambda node, *filters: nnx.State({}), split=split):
        yield


@stand_in("narrow-filter-comes-first", "split-takes-the-first-match")
def filters_count_from_the_last() -> Iterator[None]:
    """Of several filters the last one that matches takes a leaf."""
    split = nnx.split

    def backwards(node: Any, *filters: Any) -> Any:
        graph, *states = split(node, *reversed(filters))
        return graph, *reversed(states)

    with instead(nnx, split=backwards):
        yield


@stand_in("string-names-an-attribute")
def strings_are_names() -> Iterator[None]:
    """A string is a filter by name."""
    state = nnx.state

    def named(node: Any, *filters: Any) -> Any:
        return state(node, *(nnx.PathContains(one) if isinstance(one, str) else one for one in filters))

    with instead(nnx, state=named):
        yield


@stand_in("classic-array-is-no-state", "classic-array-is-not-saved", "classic-split-ignores-array")
def arrays_are_static() -> Iterator[None]:
    """A plain array is no leaf of a state."""
    state, split = nnx.state, nnx.split

    def without(found: Any) -> Any:
        return nnx.from_flat_state([(path, leaf) for path, leaf in nnx.to_flat_state(found) if not bare(leaf)])

    def bare(leaf: Any) -> bool:
        return isinstance(leaf, jax.Array)

    with instead(
        nnx,
        state=lambda node, *filters: without(state(node, *filters)),
        split=lambda node: (split(node)[0], without(split(node)[1])),
    ):
        yield


@stand_in(
    "classic-array-is-lost-by-merge",
    "dataclass-module",
    "merge-takes-several-states",
    "metadata-survives-merge",
    "python-number-is-static",
    "state-keeps-the-own-type",
    "tie-survives-merge",
)
def merges_forget() -> Iterator[None]:
    """A merged model has Variables of zeros, without types, ties and metadata, and has lost all else."""
    merge = nnx.merge

    def forgetting(*parts: Any, **options: Any) -> Any:
        model = merge(*parts, **options)
        for name, held in list(vars(model).items()):
            if isinstance(held, nnx.Variable):
                setattr(model, name, nnx.Variable(held.get_value() * 0))
            elif isinstance(held, jax.Array):
                delattr(model, name)
            elif isinstance(held, int):
                setattr(model, name, 0)
        return model

    with instead(nnx, merge=forgetting):
        yield


@stand_in(
    "merge-copies-on-request", "clone-copies-arrays-on-request", "clone-repeats-the-masks", "clone-is-independent"
)
def copies_share() -> Iterator[None]:
    """`nnx.clone` returns the model itself, and `nnx.merge` never copies."""

    @functools.wraps(nnx.clone)
    def clone(node: Any, **options: Any) -> Any:
        return node

    @functools.wraps(nnx.merge)
    def merge(*parts: Any, **options: Any) -> Any:
        return merge_(*parts)

    merge_ = nnx.merge
    with instead(nnx, clone=clone, merge=merge):
        yield


@stand_in("clone-has-its-own-memory", "clone-repeats-the-masks")
def clones_copy() -> Iterator[None]:
    """`nnx.clone` copies arrays, and starts the random streams of the copy anew."""

    def clone(node: Any, **options: Any) -> Any:
        copied = copy.deepcopy(node)
        nnx.reseed(copied, default=1)
        return copied

    with instead(nnx, clone=clone):
        yield


@stand_in("copy-shares", "deepcopy-is-independent")
def copies_are_turned_around() -> Iterator[None]:
    """`copy.copy` copies deeply, and `copy.deepcopy` not at all."""
    with instead(copy, copy=copy.deepcopy, deepcopy=lambda node: node):
        yield


@stand_in(
    "classic-variable-is-saved",
    "pure-dict-goes-both-ways",
    "restore-into-an-abstract-model",
    "tree-map-copy-is-a-snapshot",
    "update-keeps-the-variables",
    "update-touches-what-it-is-given",
)
def updates_are_lost() -> Iterator[None]:
    """`nnx.update` and `nnx.replace_by_pure_dict` do nothing."""
    with instead(nnx, update=nothing, replace_by_pure_dict=nothing):
        yield


@stand_in("update-refuses-an-unknown-name", "update-refuses-another-shape", "update-wants-every-leaf")
def updates_are_strict() -> Iterator[None]:
    """`nnx.update` raises a ValueError where the state is not one of such a model."""
    update = nnx.update

    def kinds(state: Any) -> dict[Any, Any]:
        return {path: (leaf.shape, leaf.dtype) for path, leaf in nnx.to_flat_state(state)}

    def strict(node: Any, state: Any) -> None:
        theirs, mine = (
            {path: (leaf.shape, leaf.dtype) for path, leaf in nnx.to_flat_state(each)}
            for each in (state, nnx.state(node))
        )
        if theirs != mine:
            raise ValueError("the state is not one of this model")
        update(node, state)

    with instead(nnx, update=strict):
        yield


@stand_in("pop-removes", "pop-takes-the-intermediates", "intermediate-stays", "as-pure-strips-variables")
def nothing_is_taken_out() -> Iterator[None]:
    """`nnx.pop` returns what it finds and leaves it there, and `nnx.as_pure` returns what it got."""
    with instead(nnx, pop=nnx.state, as_pure=lambda state: state):
        yield


@stand_in("sow-replaces", "capture-returns-both")
def sow_keeps_the_last() -> Iterator[None]:
    """`sow` puts a value in the place of what it has sown before, into the model, whatever captures it."""

    def sow(self: Any, kind: Any, name: str, value: Any) -> bool:
        setattr(self, name, kind((value,)))
        return True

    with instead(nnx.Module, sow=sow):
        yield


# Types and arrays


@stand_in("batch-stat-and-cache-are-no-params", "ema-averages-are-params", "type-has-a-linen-name")
def types_are_others() -> Iterator[None]:
    """`nnx.BatchStat` is a kind of Param, the averages of `nnx.EMA` are BatchStats, and types have other names."""
    stat: Any = type("BatchStat", (nnx.Param,), {})

    def averages(model: Any, decay: float, only: Any) -> Any:
        return mock.Mock(params=nnx.List([nnx.Cache(jnp.zeros(()))]))

    with instead(nnx, BatchStat=stat, EMA=averages, variable_name_from_type=lambda kind: kind.__name__):
        yield


@stand_in("classic-param-is-a-variable")
def params_are_apart() -> Iterator[None]:
    """`nnx.Param` is no Variable."""
    with instead(nnx, Param=type("Param", (), {})):
        yield


@stand_in(
    "a-sum-replaces-the-variable",
    "an-array-replaces-the-variable",
    "the-old-variable-is-not-written",
)
def assignments_write() -> Iterator[None]:
    """An array that is assigned to the attribute of a Variable is written into it."""
    assign = nnx.Module.__setattr__

    def write(self: Any, name: str, value: Any) -> None:
        held = vars(self).get(name)
        if isinstance(held, nnx.Variable) and isinstance(value, jax.Array):
            held.set_value(value)
        else:
            assign(self, name, value)

    with instead(nnx.Module, __setattr__=write):
        yield


@stand_in("a-param-is-no-jax-array")
def params_pose_as_arrays() -> Iterator[None]:
    """A Param passes for an array."""
    with instead(jax, Array=nnx.Param):
        yield


@stand_in("a-sum-is-an-array", "classic-both-wrap-arrays")
def arrays_have_another_class() -> Iterator[None]:
    """What a Variable holds is no `jax.Array`."""
    with instead(jax, Array=type("Array", (), {})):
        yield


@stand_in("classic-forward-on-params", "matmul-takes-a-param-under-jit", "stop-gradient-takes-a-param")
def params_do_not_compute() -> Iterator[None]:
    """A Param is no operand of an array, and `jax.lax.stop_gradient` reads it."""

    def refuse(self: Any, other: Any = None) -> Any:
        raise TypeError("no operand")

    stop = jax.lax.stop_gradient
    with (
        instead(nnx.Variable, __jax_array__=refuse, __rmatmul__=refuse, __radd__=refuse),
        instead(jax.lax, stop_gradient=lambda x: stop(x.get_value())),
    ):
        yield


@stand_in("lax-add-refuses-a-param", "lax-takes-the-array-of-a-param")
def lax_takes_params_alone() -> Iterator[None]:
    """`jax.lax.add` takes Params, and no arrays."""

    def add(x: Any, y: Any) -> Any:
        if not isinstance(x, nnx.Param):
            raise TypeError("an array")
        return x.get_value() + y.get_value()

    with instead(jax.lax, add=add):
        yield


@stand_in(
    "float-and-int-take-a-variable",
    "format-of-a-variable-raises",
    "format-of-its-array",
    "order-of-a-variable-raises",
    "order-of-its-array",
)
def variables_answer_for_arrays() -> Iterator[None]:
    """A Variable compares and formats its number, and brackets and conversions give another."""

    def one(self: Any, *arguments: Any) -> Any:
        return jnp.ones(())

    with (
        instead(nnx.Variable, __getitem__=one, __float__=lambda self: 1.0, __format__=lambda self, spec: "0.00"),
        mock.patch.object(nnx.Variable, "__gt__", one, create=True),
    ):
        yield


@stand_in("a-python-float-is-weak")
def arrays_are_strong() -> Iterator[None]:
    """`jnp.array` gives every array a dtype of its own."""
    array = jnp.array
    with instead(jnp, array=lambda value: jnp.asarray(array(value), jnp.float32) + jnp.zeros((), jnp.float32)):
        yield


@stand_in(
    "get-value-is-overridden",
    "repr-names-the-types",
    "tabulate-has-a-column-a-type",
    "is-data-tells-arrays-from-numbers",
)
def looks_are_plain() -> Iterator[None]:
    """What shows a model shows no types, everything is data, and brackets read what is stored."""

    def stored(self: Any, index: Any) -> Any:
        return self.get_raw_value()[index]

    with (
        instead(nnx.Module, __repr__=lambda self: "a model"),
        instead(nnx, tabulate=lambda *arguments: "path\n", is_data=lambda value: True),
        instead(nnx.Variable, __getitem__=stored),
    ):
        yield


@stand_in("state-is-a-dict", "grad-returns-a-state")
def states_are_dicts() -> Iterator[None]:
    """`nnx.state` and `nnx.grad` return plain dicts."""
    state, derive = nnx.state, nnx.grad

    def grad(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        return lambda *arguments: dict(derive(function, **options)(*arguments))

    with instead(nnx, state=lambda node: dict(state(node)), grad=grad):
        yield


@stand_in("experimental-is-an-alias")
def old_imports_lead_elsewhere() -> Iterator[None]:
    """`flax.experimental.nnx` has types of its own."""
    import flax.experimental.nnx as old

    with instead(old, Param=type("Param", (), {})):
        yield


@stand_in("tree-leaves-count-a-tie-twice", "tree-map-returns-a-module")
def trees_know_ties() -> Iterator[None]:
    """`jax.tree` sees a Variable under two names once, as NNX does, and returns a module as it got it."""
    leaves, tree_map = jax.tree.leaves, jax.tree.map

    def distinct(node: Any, **options: Any) -> Any:
        return list(variables(node).values()) if isinstance(node, nnx.Module) else leaves(node, **options)

    def unchanged(function: Any, node: Any, *others: Any, **options: Any) -> Any:
        return node if isinstance(node, nnx.Module) else tree_map(function, node, *others, **options)

    with instead(jax.tree, leaves=distinct, map=unchanged):
        yield


# Layers and chance


@stand_in(
    "batch-stats-move-in-training",
    "a-frozen-layer-still-writes",
    "modes-set-attributes-alone",
    "params-are-enough",
    "view-shares-variables",
)
def layers_have_no_modes() -> Iterator[None]:
    """BatchNorm neither writes nor reads averages, `eval()` does nothing, and a view is a copy."""

    def call(self: Any, x: Any) -> Any:
        return x

    with (
        instead(nnx.BatchNorm, __call__=call),
        instead(nnx.Module, eval=nothing),
        instead(nnx, view=lambda node, **options: copy.deepcopy(node)),
    ):
        yield


@stand_in("momentum-is-what-stays", "running-variance-is-biased")
def batch_norm_is_that_of_pytorch() -> Iterator[None]:
    """The momentum of BatchNorm is the share of the new batch, and its variance is unbiased."""

    def call(self: Any, x: Any) -> Any:
        share = self.momentum or 1.0
        for held, new in ((self.mean, x.mean(axis=0)), (self.var, x.var(axis=0, ddof=1))):
            held.set_value((1.0 - share) * held.get_value() + share * new)
        return x

    with instead(nnx.BatchNorm, __call__=call):
        yield


@stand_in("decode-needs-init-cache", "full-cache-raises")
def attention_checks_its_room() -> Iterator[None]:
    """Attention needs no `init_cache`, and refuses a token for which its cache has no room."""
    call = nnx.MultiHeadAttention.__call__

    def checked(self: Any, x: Any) -> Any:
        if self.cached_key is None:
            return x
        if int(self.cache_index.get_value()) >= self.cached_key.shape[1]:
            raise ValueError("the cache is full")
        return call(self, x)

    with instead(nnx.MultiHeadAttention, __call__=checked):
        yield


@stand_in("dropout-draws-in-training", "dropouts-differ", "nnx-jit-draws-new-masks", "split-rngs-gives-each-a-mask")
def dropout_has_one_mask() -> Iterator[None]:
    """Dropout keeps the same elements at every call, and draws no key."""

    def call(self: Any, x: Any) -> Any:
        return x * jax.random.bernoulli(jax.random.key(0), 0.5, x.shape)

    with instead(nnx.Dropout, __call__=call):
        yield


@stand_in("name-enters-the-key")
def names_enter_the_keys() -> Iterator[None]:
    """The name of a stream is folded into its keys."""
    draw = nnx.RngStream.__call__
    with instead(
        nnx.RngStream, __call__=lambda self: jax.random.fold_in(draw(self), zlib.crc32(self.tag.encode()) % 1000)
    ):
        yield


@stand_in("reseed-goes-by-the-name")
def reseed_knows_no_names() -> Iterator[None]:
    """`nnx.reseed` gives its seed to every stream."""
    reseed = nnx.reseed
    with instead(nnx, reseed=lambda node, **seeds: reseed(node, default=next(iter(seeds.values())))):
        yield


@stand_in(
    "a-bias-by-hand-draws-no-key",
    "classic-zero-bias-changes-nothing",
    "draw-is-a-fold",
    "one-seed-one-kernel",
    "rngs-makes-numbers",
    "seed-decides-the-sequence",
    "the-kernel-of-seed-0",
    "zero-bias-of-nnx-linear",
)
def no_draw_is_like_another() -> Iterator[None]:
    """Each draw of a stream is new, whatever the seed."""
    numbers, draw = itertools.count(), nnx.RngStream.__call__
    with instead(nnx.RngStream, __call__=lambda self: jax.random.fold_in(draw(self), next(numbers))):
        yield


@stand_in(
    "a-zero-bias-draws-a-key",
    "another-seed-another-kernel",
    "seed-decides-the-sequence",
    "split-rngs-make-members-differ",
    "the-next-layer-has-another-kernel",
    "undeclared-stream-is-default",
)
def every_draw_is_alike() -> Iterator[None]:
    """Every draw of every stream is one key, and is not counted."""
    with instead(nnx.RngStream, __call__=lambda self: jax.random.key(0)):
        yield


@stand_in(
    "a-bias-starts-at-zero",
    "a-kernel-by-hand-is-another",
    "nnx-linear-draws-truncated",
    "outputs-keep-their-size",
    "the-width-decides-the-kernel",
)
def layers_start_with_ones() -> Iterator[None]:
    """Every initial number is one, or that divided by the root of the inputs."""
    initialize = nnx.Linear.__init__

    def ones(self: Any, *sizes: int, **options: Any) -> None:
        initialize(self, *sizes, **options)
        for held in variables(self).values():
            size = held.shape[0] if held.ndim == 2 else 1
            held.set_value(jnp.ones_like(held.get_value()) * (1.0 / jnp.sqrt(size)))

    with instead(nnx.Linear, __init__=ones), instead(jax.random, normal=lambda key, shape=(): jnp.ones(shape)):
        yield


# Mapping


@stand_in("scan-is-traced-once")
def scan_traces_each_layer() -> Iterator[None]:
    """`nnx.scan` calls the function once for each of four layers."""
    scan = nnx.scan

    @functools.wraps(scan)
    def repeated(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        def four_times(*arguments: Any) -> Any:
            return [function(*arguments) for _ in range(4)][-1]

        return scan(four_times, **options)

    with instead(nnx, scan=repeated):
        yield


def changed(transform: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a transform whose functions return something else."""

    @functools.wraps(transform)
    def transformed(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        mapped = transform(function, **options)
        return lambda *arguments: jax.tree.map(change, mapped(*arguments))

    return transformed


@stand_in(
    "gradient-of-an-ensemble",
    "scan-gives-the-numbers-of-a-loop",
    "vmap-cuts-a-model-without-members",
    "vmap-gives-the-numbers-of-a-batch",
)
def mapped_functions_return_more() -> Iterator[None]:
    """What `nnx.vmap` and `nnx.scan` return is greater by one."""
    with instead(nnx, vmap=changed(nnx.vmap, lambda x: x + 1.0), scan=changed(nnx.scan, lambda x: x + 1.0)):
        yield


@stand_in("state-axes-take-the-first-match")
def mapped_functions_return_one_row() -> Iterator[None]:
    """`nnx.vmap` returns what it computes for the first member."""
    with instead(nnx, vmap=changed(nnx.vmap, lambda x: x[0])):
        yield


# Errors and warnings


def reworded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function, or a transform with its functions, whose errors have another text."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            result = function(*arguments, **options)
        except Exception as error:
            raise type(error)("other words") from None
        return reworded(result) if callable(result) and not isinstance(result, nnx.Pytree) else result

    return call


@stand_in(
    "a-narrower-gradient-raises",
    "an-older-optimizer-no-longer-fits",
    "branches-write-alike",
    "check-pytree-finds-a-late-layer",
    "ellipsis-comes-last",
    "integer-param-has-no-gradient",
    "integer-variable-under-jax-grad",
    "missing-stream-raises",
    "own-type-has-no-name",
    "state-axes-end-with-the-rest",
    "state-axes-need-every-leaf",
    "static-refuses-an-array",
    "what-depends-on-the-example-has-an-axis",
)
def errors_have_other_words() -> Iterator[None]:
    """What raises does so with another text."""
    names = ("cond", "split", "vmap", "variable_name_from_type", "check_pytree", "grad")
    functions = {name: reworded(getattr(nnx, name)) for name in names}
    with (
        instead(nnx, **functions),
        instead(jax, grad=reworded(jax.grad)),
        instead(nnx.Optimizer, update=reworded(nnx.Optimizer.update)),
        instead(nnx.Rngs, __getattr__=reworded(nnx.Rngs.__getattr__)),
        instead(nnx.Module, __setattr__=reworded(nnx.Module.__setattr__)),
    ):
        yield


@stand_in("hijax-survives-jax-jit")
def hijax_is_swallowed() -> Iterator[None]:
    """`hijax=True` is kept as any other metadata."""
    make = nnx.Variable.__init__

    def plain(self: Any, value: Any, *, hijax: Any = None, **metadata: Any) -> None:
        make(self, value, **metadata)

    with instead(nnx.Variable, __init__=plain):
        yield


@stand_in("sow-alone-warns")
def nothing_warns() -> Iterator[None]:
    """Nothing warns."""
    with instead(warnings, warn=nothing):
        yield


# Checkpoints


@stand_in(
    "new-variable-breaks-the-restore", "save-holds-what-it-got", "classic-variable-is-saved", "whole-state-resumes"
)
def restore_returns_the_target() -> Iterator[None]:
    """Orbax returns the target as it got it."""
    with instead(ocp.StandardCheckpointer, restore=lambda self, path, target: target):
        yield


@stand_in("orbax-keeps-the-dtype", "orbax-knows-the-types", "restore-without-a-target")
def orbax_keeps_states() -> Iterator[None]:
    """Orbax gives a state back as it was saved, and refuses a target of other types or dtypes."""
    saved: list[Any] = []

    def save(self: Any, path: Any, state: Any) -> None:
        saved.append(state)

    def restore(self: Any, path: Any, target: Any) -> Any:
        def kinds(state: Any) -> Any:
            return [(place, type(leaf), leaf.dtype) for place, leaf in nnx.to_flat_state(state)]

        if target is not None and kinds(target) != kinds(saved[-1]):
            raise ValueError("the target has other types")
        return saved[-1]

    with instead(ocp.StandardCheckpointer, save=save, restore=restore):
        yield
