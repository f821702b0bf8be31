"""Filters, states and merges: what is selected, put back, copied and taken out."""

import copy
import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx import filterlib

from workshop.mutation.stand_ins.registry import instead, nothing, stand_in, variables


@stand_in(
    "a-metric-has-a-type-of-its-own",
    "a-metric-needs-a-filter",
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
    "rope-tables-are-variables",
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
    "a-metric-is-state-of-the-model",
    "a-variable-replaces-another",
    "classic-state-of-variables",
    "classic-variable-is-state",
    "data-marks-a-list",
    "nnx-list-grows",
    "no-pytree-takes-a-list",
    "sequential-holds-layers",
    "variable-can-be-added-later",
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


@stand_in(
    "classic-array-is-no-state",
    "classic-array-is-not-saved",
    "classic-split-ignores-array",
    "classic-variable-is-every-leaf",
)
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
    "a-merged-copy-loses-a-count",
    "clone-copies-arrays-on-request",
    "clone-is-independent",
    "clone-repeats-the-masks",
    "clone-with-arrays-outlives-a-donation",
    "merge-copies-on-request",
    "merged-copies-repeat",
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


@stand_in(
    "copy-shares",
    "deepcopy-has-its-own-settings",
    "deepcopy-is-independent",
    "deepcopy-outlives-a-donation",
    "deepcopy-repeats",
)
def copies_are_turned_around() -> Iterator[None]:
    """`copy.copy` copies deeply, and `copy.deepcopy` not at all."""
    with instead(copy, copy=copy.deepcopy, deepcopy=lambda node: node):
        yield


@stand_in(
    "a-state-as-aux-keeps-a-count",
    "classic-variable-is-saved",
    "incremental-update-moves-a-target",
    "pure-dict-goes-both-ways",
    "replace-by-pure-dict-takes-strings",
    "restore-into-an-abstract-model",
    "tree-map-copy-is-a-snapshot",
    "update-keeps-the-variables",
    "update-takes-several-states",
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
        if kinds(state) != kinds(nnx.state(node)):
            raise ValueError("the state is not one of this model")
        update(node, state)

    with instead(nnx, update=strict):
        yield


@stand_in("pop-removes", "pop-takes-the-intermediates", "intermediate-stays", "as-pure-strips-variables")
def nothing_is_taken_out() -> Iterator[None]:
    """`nnx.pop` returns what it finds and leaves it there, and `nnx.as_pure` returns what it got."""
    with instead(nnx, pop=nnx.state, as_pure=lambda state: state):
        yield


@stand_in(
    "capture-returns-both",
    "sow-may-do-nothing",
    "sow-replaces",
)
def sow_keeps_the_last() -> Iterator[None]:
    """`sow` puts a value in the place of what it has sown before, into the model, whatever captures it."""

    @functools.wraps(nnx.Module.sow)
    def sow(self: Any, kind: Any, name: str, value: Any, **options: Any) -> bool:
        setattr(self, name, kind((value,)))
        return True

    with instead(nnx.Module, sow=sow):
        yield


@stand_in("merge-refuses-another-shape", "merge-takes-the-type-of-the-graphdef")
def merges_know_the_model() -> Iterator[None]:
    """`nnx.merge` makes Variables of the types that were split last, and refuses arrays of other shapes."""
    split, merge = nnx.split, nnx.merge
    known: dict[Any, Any] = {}

    def remembering(node: Any) -> Any:
        known.update(variables(node))
        return split(node)

    def comparing(*parts: Any) -> Any:
        model = merge(*parts)
        for (name,), leaf in variables(model).items():
            if leaf.shape != known[name,].shape:
                raise ValueError(f"{name} has another shape")
            setattr(model, name, type(known[name,])(leaf.get_value()))
        return model

    with instead(nnx, split=remembering, merge=comparing):
        yield


@stand_in("merge-takes-states-in-any-order")
def merges_go_by_place() -> Iterator[None]:
    """`nnx.merge` takes leaves in the order in which it gets them, whatever their names."""
    merge = nnx.merge

    def by_place(graph: Any, *states: Any) -> Any:
        paths, leaves = zip(*(pair for state in states for pair in nnx.to_flat_state(state)), strict=True)
        return merge(graph, nnx.from_flat_state(list(zip(sorted(paths), leaves, strict=True))))

    with instead(nnx, merge=by_place):
        yield


@stand_in("the-later-state-wins")
def earlier_states_win() -> Iterator[None]:
    """`nnx.merge_state` holds what the first state has where several have a name."""
    merge = nnx.merge_state
    with instead(nnx, merge_state=lambda *states: merge(*reversed(states))):
        yield


@stand_in("update-makes-jax-arrays")
def updates_convert() -> Iterator[None]:
    """`nnx.update` makes arrays of JAX of what it gets."""
    update = nnx.update
    with instead(nnx, update=lambda node, state: update(node, jax.tree.map(jnp.asarray, state))):
        yield
