"""References: Variables that are made with `ref=True` or `hijax=True`, and what keeps a write to them."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, bump, count_is, loss, read, spelled, under
from nnx_state.claims.registry import NotApplicable, claim, expect, need, raises, works

SEE = "lessons/transforms.md#see"
CLOSED = "lessons/transforms.md#the-model-is-not-an-argument"
FLOW = "lessons/transforms.md#control-flow-from-jaxlax"
SHARED = "lessons/split-merge.md#see"
ISSUE = "an issue of Flax"


def referring() -> Layer:
    """Return a layer whose count is a reference of JAX."""
    return Layer(made_with("ref", "has_ref", "use_ref", "mutable"))


def hijacked() -> Layer:
    """Return a layer whose count is made with `hijax=True`."""
    return Layer(made_with("hijax", "is_hijax"))


def made_with(*spellings: str) -> Any:
    """Return a Variable of 0.0 that is made with a keyword, the first that this release has of its spellings.

    A release that takes the keyword for metadata makes the same Variable without it: it does not have the keyword.
    """
    spelling = spelled(*spellings)
    if spelling is None:
        raise NotApplicable(f"nnx.Variable takes no {spellings[0]}=True")
    keyword: dict[str, Any] = {spelling: True}
    return nnx.Variable(jnp.zeros(()), **keyword)


@claim(
    "reference-holds-a-reference",
    "A Variable that is made with `ref=True` is a reference of JAX in the leaves of its state, and reads as an array.",
    "lessons/reading-writing.md#see",
)
def reference_holds_a_reference() -> None:
    model = referring()
    (leaf,) = jax.tree.leaves(nnx.state(model)["count"])
    expect([isinstance(leaf, jax.Array), isinstance(model.count[...], jax.Array)], [False, True])


@claim(
    "reference-outlives-a-closure",
    "A function under `jax.jit` may write to a Variable from outside that is made with `ref=True`.",
    CLOSED,
)
def reference_outlives_a_closure() -> None:
    model = referring()
    works(lambda: under(jax.jit, lambda _: bump(model))(0.0))
    works(lambda: count_is(model, 1.0))  # it may hold what the trace leaked


@claim(
    "reference-counts-in-jax-scan",
    "The body of `jax.lax.scan` counts each step in a Variable from outside that is made with `ref=True`.",
    FLOW,
)
def reference_counts_in_jax_scan() -> None:
    def visit(carry: Any, _: Any) -> Any:
        bump(model)
        return carry, None

    model = referring()
    works(lambda: jax.lax.scan(visit, 0.0, jnp.ones(3)))
    works(lambda: count_is(model, 3.0))  # it may hold what the trace leaked


@claim(
    "reference-outlives-jax-cond",
    "A branch of `jax.lax.cond` may write to a Variable that is made with `ref=True`, and the change is kept.",
    FLOW,
)
def reference_outlives_jax_cond() -> None:
    model = referring()
    works(lambda: jax.lax.cond(jnp.array(True), bump, lambda model: None, model))
    count_is(model, 1.0)


@claim(
    "reference-outlives-jax-checkpoint",
    "What a function under `jax.checkpoint` writes to a Variable that is made with `ref=True` is kept.",
    SEE,
)
def reference_outlives_jax_checkpoint() -> None:
    model = referring()
    works(lambda: under(jax.checkpoint, bump)(model))
    count_is(model, 1.0)


@claim(
    "reference-outlives-nnx-grad",
    "What a loss under `nnx.grad` writes to a Variable that is made with `ref=True` is kept.",
    SEE,
    ISSUE,
)
def reference_outlives_nnx_grad() -> None:
    def visit(model: Any) -> Any:
        bump(model)
        return loss(model), read(model.count)

    model = referring()
    _, inside = works(lambda: nnx.grad(visit, has_aux=True)(model))
    expect(float(inside), 1.0)
    count_is(model, 1.0)


@claim(
    "reference-is-not-returned",
    "`jax.jit` refuses to return a model that holds a Variable with `ref=True`.",
    SEE,
)
def reference_is_not_returned() -> None:
    model = referring()
    raises(lambda: jax.jit(lambda model: model)(model), ValueError, "mutable array references cannot be returned")


@claim(
    "reference-goes-in-once",
    "`jax.jit` refuses one Variable with `ref=True` under two names.",
    "lessons/split-merge.md#a-tie-comes-apart",
)
def reference_goes_in_once() -> None:
    model: Any = referring()
    model.other = model.count
    raises(lambda: jax.jit(loss)(model), ValueError, "only one reference to a mutable array may be passed")


@claim(
    "jax-grad-refuses-a-reference",
    "`jax.grad` of a model that holds a Variable with `ref=True` raises a TypeError that names the reference.",
    "lessons/training.md#calls-that-raise",
)
def jax_grad_refuses_a_reference() -> None:
    def grads() -> Any:
        found = jax.grad(loss)(model)
        expect(bool((read(found.kernel) == read(model.kernel)).all()), False)
        return found

    model = referring()
    raises(grads, TypeError, "cannot differentiate with respect to a Ref")


@claim(
    "tree-map-copies-a-reference",
    "`jax.tree.map(jnp.copy, nnx.state(model))` copies a Variable that is made with `ref=True`.",
    SHARED,
)
def tree_map_copies_a_reference() -> None:
    model = referring()
    taken = works(lambda: jax.tree.map(jnp.copy, nnx.state(model)))
    bump(model)
    expect(float(read(taken["count"])), 0.0)


@claim(
    "clone-copies-a-reference",
    "A write into `nnx.clone(model)` leaves a Variable of the model alone that is made with `ref=True`.",
    SHARED,
)
def clone_copies_a_reference() -> None:
    model = referring()
    clone = works(lambda: nnx.clone(model))
    bump(clone)
    count_is(clone, 1.0)
    count_is(model, 0.0)


@claim(
    "eval-shape-takes-a-reference",
    "`nnx.eval_shape` builds a model with a Variable that is made with `ref=True`.",
    "lessons/checkpoints.md#see",
)
def eval_shape_takes_a_reference() -> None:
    referring()
    model = works(lambda: nnx.eval_shape(referring))
    expect(read(model.count).shape, ())


@claim(
    "pure-dict-reads-a-reference",
    "`nnx.to_pure_dict` reads a Variable that is made with `ref=True`, and holds an array.",
    "lessons/split-merge.md#predict",
)
def pure_dict_reads_a_reference() -> None:
    model = referring()
    bump(model)
    plain = nnx.to_pure_dict(nnx.state(model))["count"]
    expect(isinstance(plain, jax.Array), True)
    expect(float(plain), 1.0)


@claim(
    "var-defaults-make-references",
    "Variables that are made inside of `nnx.var_defaults(ref=True)` keep a change from `jax.jit`.",
    SEE,
)
def var_defaults_make_references() -> None:
    need(nnx, "var_defaults")
    with nnx.var_defaults(ref=True):
        model = Layer()
    works(lambda: under(jax.jit, bump)(model))
    count_is(model, 1.0)


@claim(
    "hijax-outlives-nnx-jit",
    "A Variable that is made with `hijax=True` keeps a change from `nnx.jit`.",
    SEE,
)
def hijax_outlives_nnx_jit() -> None:
    model = hijacked()
    works(lambda: nnx.jit(bump)(model))
    count_is(model, 1.0)


@claim(
    "hijax-refuses-a-write",
    "A write to a Variable that is made with `hijax=True` raises an ImmutableVariableError under `jax.jit`.",
    SEE,
)
def hijax_refuses_a_write() -> None:
    model = hijacked()
    raises(lambda: under(jax.jit, bump)(model), "ImmutableVariableError", "Cannot update a non-ref HijaxVariable")


@claim(
    "jax-grad-takes-hijax",
    "`jax.grad` differentiates a Variable that is made with `hijax=True`.",
    "lessons/training.md#see",
)
def jax_grad_takes_hijax() -> None:
    model = hijacked()
    grads = works(lambda: jax.grad(lambda model: loss(model) + 3.0 * model.count[...])(model))
    expect(float(read(grads.count)), 3.0)
