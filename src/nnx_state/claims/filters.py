"""Filters: which leaves a class, a tag, a path or a callable selects."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import NO_ARRAYS, Layer, leaves, names
from nnx_state.claims.registry import claim, differs, expect, raises

GUIDE = "a guide of Flax"


class Stack(nnx.Module):
    """A Layer inside of a module that has a bias of its own."""

    def __init__(self) -> None:
        self.inner = Layer()
        self.bias = nnx.Param(jnp.zeros((2,)))


def groups(model: nnx.Module, *filters: Any) -> list[list[str]]:
    """Return the paths in each group of `nnx.split`."""
    return [names(state) for state in nnx.split(model, *filters)[1:]]


def tagged() -> Layer:
    """Return a Layer whose count is tagged `log`."""
    return Layer(count=nnx.Variable(jnp.array(0.0), tag="log"))


@claim(
    "param-filter-goes-deep",
    "`nnx.state(model, nnx.Param)` returns the Params of every layer inside of the model, each under its path.",
    "lessons/filters.md#see",
    GUIDE,
)
def param_filter_goes_deep() -> None:
    expect(names(nnx.state(Stack(), nnx.Param)), ["bias", "inner.bias", "inner.kernel"])


@claim(
    "not-param-selects-the-rest",
    "`nnx.state(model, nnx.Not(nnx.Param))` returns the leaves that are no Params.",
    "lessons/multi-param.md#see",
)
def not_param_selects_the_rest() -> None:
    expect(names(nnx.state(Layer(), nnx.Not(nnx.Param))), ["count"])


@claim(
    "variable-filter-misses-arrays",
    "A plain array is selected by `nnx.Not(nnx.Param)`, and not by `nnx.Variable`.",
    "lessons/filters.md#a-leaf-that-no-filter-matches",
    instead=NO_ARRAYS,
)
def variable_filter_misses_arrays() -> None:
    model = Layer(count=jnp.array(0.0))
    expect(names(nnx.state(model, nnx.Not(nnx.Param))), ["count"])
    expect(names(nnx.state(model, nnx.Variable)), ["bias", "kernel"])


@claim(
    "split-takes-the-first-match",
    "In `nnx.split(model, nnx.Param, nnx.Variable)` the second group holds the Variables that are no Params.",
    "lessons/filters.md#predict",
)
def split_takes_the_first_match() -> None:
    expect(groups(Layer(), nnx.Param, nnx.Variable), [["bias", "kernel"], ["count"]])


@claim(
    "narrow-filter-comes-first",
    "In `nnx.split(model, nnx.Variable, nnx.Param)` the group of the Params is empty.",
    "lessons/filters.md#predict",
    GUIDE,
)
def narrow_filter_comes_first() -> None:
    expect(groups(Layer(), nnx.Variable, nnx.Param), [["bias", "count", "kernel"], []])


@claim(
    "split-leaves-nothing-over",
    "`nnx.split` raises a ValueError, Non-exhaustive filters, where a leaf matches no filter.",
    "lessons/filters.md#a-leaf-that-no-filter-matches",
    GUIDE,
)
def split_leaves_nothing_over() -> None:
    raises(lambda: nnx.split(Layer(), nnx.Param), ValueError, "Non-exhaustive filters")


@claim(
    "state-leaves-out-the-rest",
    "`nnx.state` with several filters returns a State for each, and leaves out what matches none.",
    "lessons/filters.md#see",
)
def state_leaves_out_the_rest() -> None:
    states = nnx.state(Stack(), nnx.Param, nnx.BatchStat)
    expect([names(state) for state in states], [["bias", "inner.bias", "inner.kernel"], []])


@claim(
    "ellipsis-takes-the-rest",
    "The filter `...` takes all leaves that no filter before it has matched, a plain array too.",
    "lessons/filters.md#a-leaf-that-no-filter-matches",
    GUIDE,
    instead=NO_ARRAYS,
)
def ellipsis_takes_the_rest() -> None:
    expect(groups(Layer(count=jnp.array(0.0)), nnx.Param, ...), [["bias", "kernel"], ["count"]])


@claim(
    "ellipsis-comes-last",
    "`nnx.split` raises a ValueError where `...` stands before another filter.",
    "lessons/filters.md#a-leaf-that-no-filter-matches",
)
def ellipsis_comes_last() -> None:
    raises(lambda: nnx.split(Layer(), ..., nnx.Param), ValueError, "can only be used as the last filters")


@claim(
    "bool-filters-are-all-or-nothing",
    "The filter `True` selects every leaf, and the filters `False` and `None` select none.",
    "lessons/filters.md#see",
    GUIDE,
)
def bool_filters_are_all_or_nothing() -> None:
    found = {str(word): len(names(nnx.state(Layer(), word))) for word in (True, False, None)}
    expect(found, {"True": 3, "False": 0, "None": 0})


@claim(
    "any-all-and-not-combine",
    "`nnx.Any`, `nnx.All` and `nnx.Not` combine filters as `or`, `and` and `not` do.",
    "lessons/filters.md#see",
    GUIDE,
)
def any_all_and_not_combine() -> None:
    found = [
        names(nnx.state(tagged(), combined))
        for combined in (
            nnx.Any(nnx.BatchStat, "log"),
            nnx.All(nnx.Variable, "log"),
            nnx.All(nnx.Param, "log"),
            nnx.All(nnx.Variable, nnx.Not("log")),
        )
    ]
    expect(found, [["count"], ["count"], [], ["bias", "kernel"]])


@claim(
    "tuple-means-any",
    "A tuple of filters selects what one of them selects.",
    "lessons/filters.md#see",
    GUIDE,
)
def tuple_means_any() -> None:
    model: Any = tagged()
    model.extra = nnx.Cache(jnp.zeros(()))
    expect(names(model), ["bias", "count", "extra", "kernel"])
    expect(names(nnx.state(model, (nnx.Param, "log"))), ["bias", "count", "kernel"])
    expect(names(nnx.state(model, (nnx.BatchStat, "log"))), ["count"])


@claim(
    "of-type-matches-subclasses",
    "`nnx.OfType(nnx.Variable)` selects what the bare class selects, subclasses included.",
    "lessons/filters.md#see",
    GUIDE,
)
def of_type_matches_subclasses() -> None:
    expect(names(nnx.state(Layer(), nnx.Not(nnx.OfType(nnx.Variable)))), [])
    expect(names(nnx.state(Layer(), nnx.OfType(nnx.Param))), ["bias", "kernel"])


@claim(
    "callable-selects-an-exact-class",
    "The filter `lambda path, leaf: type(leaf) is nnx.Variable` selects the Variables that are of no subclass.",
    "lessons/filters.md#see",
)
def callable_selects_an_exact_class() -> None:
    found = names(nnx.state(Layer(), lambda path, leaf: type(leaf) is nnx.Variable))
    if found != ["count"]:
        differs(f"it selects {found}, and the count is a {type(leaves(nnx.state(Layer()))['count']).__name__}")


@claim(
    "callable-gets-the-path",
    "A filter may be a callable, which gets the path of a leaf as a tuple of names.",
    "lessons/filters.md#see",
    GUIDE,
)
def callable_gets_the_path() -> None:
    expect(names(nnx.state(Stack(), lambda path, leaf: path == ("inner", "bias"))), ["inner.bias"])


@claim(
    "string-is-a-tag",
    "A string is a filter by tag: `'log'` selects `nnx.Variable(x, tag='log')`.",
    "lessons/filters.md#see",
    GUIDE,
)
def string_is_a_tag() -> None:
    expect(names(nnx.state(tagged(), "log")), ["count"])


@claim(
    "string-names-an-attribute",
    "A string is a filter by name: `nnx.state(model, 'bias')` returns the attribute `bias`.",
    "lessons/filters.md#a-string-that-names-an-attribute",
)
def string_names_an_attribute() -> None:
    expect(names(nnx.state(Layer(), "bias")), ["bias"])


@claim(
    "path-contains-a-name",
    "`nnx.PathContains('bias')` selects every leaf that has `bias` in its path, at any depth.",
    "lessons/filters.md#see",
    GUIDE,
)
def path_contains_a_name() -> None:
    expect(names(nnx.state(Stack(), nnx.PathContains("bias"))), ["bias", "inner.bias"])
    expect(len(names(nnx.state(Stack(), nnx.PathContains("inner")))), 3)


@claim(
    "leaves-count-the-parameters",
    "The size of `jax.tree.leaves(nnx.state(model, nnx.Param))`, summed, is the number of trainable parameters.",
    "lessons/filters.md#see",
)
def leaves_count_the_parameters() -> None:
    expect(sum(leaf.size for leaf in jax.tree.leaves(nnx.state(Layer(), nnx.Param))), 4 * 2 + 2)
