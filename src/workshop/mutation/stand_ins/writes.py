"""Writes: what is kept of them, and what comes back from a transform."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx import pytreelib

from workshop.mutation.stand_ins.registry import instead, nothing, stand_in


@stand_in(
    "a-count-for-each-member",
    "a-float-counter-stops",
    "a-step-under-nnx-jit",
    "a-tagged-counter-counts-through-training",
    "a-write-reaches-every-holder",
    "an-array-that-was-read-stays",
    "cache-index-counts-tokens",
    "classic-variable-survives-merge",
    "clone-is-independent",
    "cond-inside-jit-keeps-a-count",
    "cond-keeps-a-count",
    "counting-in-the-loss-outlives-grad",
    "decoding-writes-the-cache-alone",
    "fori-keeps-a-count",
    "grad-keeps-a-count",
    "graph-false-keeps-a-variable",
    "jax-jit-of-split-state",
    "jit-keeps-the-variables",
    "jit-reads-a-closure-once",
    "jit-takes-the-method-of-a-class",
    "jit-writes-back-a-variable",
    "jit-writes-back-at-each-call",
    "remat-keeps-a-count",
    "rnn-counts-each-step",
    "scan-carries-a-count",
    "scan-drops-what-is-shared",
    "set-value-writes",
    "state-axes-keep-a-count-whole",
    "switch-keeps-a-count",
    "tree-mode-grad-of-two-states",
    "tree-mode-keeps-a-variable",
    "value-and-grad-keeps-a-count",
    "value-attribute-writes",
    "vmap-counts-one-call",
    "writing-does-not-change-the-label",
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
    "jax-jit-unties",
    "jit-writes-back-a-number",
    "nnx-jit-advances-rngs",
    "nnx-jit-draws-new-masks",
    "nnx-jit-keeps-a-metric",
    "python-number-retraces",
    "variable-can-be-added-under-jit",
    "while-keeps-a-count",
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


@stand_in(
    "jax-checkpoint-keeps-averages",
    "variable-written-in-the-loss-under-jax-grad",
    "weight-norm-under-jax-jit",
)
def jax_writes_back() -> Iterator[None]:
    """`jax.jit`, `jax.grad` and `jax.checkpoint` treat modules as the transforms of NNX do."""
    plain = {name: getattr(jax, name) for name in ("jit", "grad", "checkpoint")}

    def of(transform: Callable[..., Any]) -> Callable[..., Any]:
        def transformed(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                with instead(jax, **plain):  # those of NNX are made of them
                    return transform(function)(*arguments)

            return call

        return transformed

    with instead(jax, jit=of(nnx.jit), grad=of(nnx.grad), checkpoint=of(nnx.remat)):
        yield


@stand_in(
    "a-fresh-filter-is-traced",
    "a-fresh-lambda-is-traced-again",
    "a-fresh-transformation-is-traced-again",
    "a-new-attribute-is-traced",
    "a-weak-counter-is-traced-twice",
    "another-shape-is-traced",
    "jit-sees-a-new-dict",
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
    "an-equal-dict-is-not-traced-again",
    "data-survives-jit",
    "eval-is-traced",
    "jit-makes-a-variable",
    "new-arrays-are-not-traced",
)
def jit_never_compiles() -> Iterator[None]:
    """`nnx.jit` runs the function as it is, at each call."""
    with instead(nnx, jit=lambda function: function):
        yield


@stand_in(
    "abstract-model-is-a-target",
    "eval-shape-keeps-a-variable",
    "remat-counts-once",
    "remat-keeps-a-count",
    "restore-a-variable-by-shape",
    "value-and-grad-keeps-a-count",
)
def nothing_is_traced() -> Iterator[None]:
    """What makes shapes or derivatives runs the function as it is."""
    plain: Any = lambda function: function  # noqa: E731 - the same for three
    with instead(nnx, eval_shape=lambda function: function(), remat=plain, value_and_grad=plain):
        yield


@stand_in(
    "eval-shape-keeps-a-plain-array",
    "list-made-under-a-trace",
    "restore-a-plain-array-by-shape",
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
