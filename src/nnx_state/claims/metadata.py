"""Metadata: what a Variable carries and shows beside its value."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, leaves, read, spelled, traces
from nnx_state.claims.registry import claim, differs, expect, need, raises, warns

GUIDE = "a guide of Flax"
ISSUE = "an issue of Flax"


class Holder(nnx.Module):
    """A model with one Variable."""

    def __init__(self, weight: Any) -> None:
        self.weight = weight


def param(**metadata: Any) -> Any:
    return nnx.Param(jnp.ones(2), **metadata)


def annotate(variable: Any, note: str) -> None:
    """Set the metadata `note`: by attribute, before there was a method."""
    if hasattr(nnx.Variable, "set_metadata"):
        variable.set_metadata(note=note)
    else:
        variable.note = note


def hooked() -> Any:
    """Return a Param with a hook that adds one to what is read; the keyword had another name at first."""
    return param(**{spelled("get_value_hooks") or "on_get_value": lambda variable, value: value + 1.0})


@contextlib.contextmanager
def lazy_sharding() -> Iterator[None]:
    """Let an annotation need no mesh."""
    if not hasattr(nnx, "use_eager_sharding"):
        yield
        return
    switch: Any = nnx.use_eager_sharding
    before = nnx.using_eager_sharding()
    switch(False)
    try:
        yield
    finally:
        switch(before)


@claim(
    "metadata-survives-merge",
    "A keyword such as `nnx.Param(x, note='a')` is kept on the Variable, and through `nnx.split` and `nnx.merge`.",
    "lessons/own-types.md#see",
    GUIDE,
)
def metadata_survives_merge() -> None:
    made = param(note="a")
    merged = nnx.merge(*nnx.split(Holder(made)))
    expect([made.note, getattr(merged.weight, "note", "lost")], ["a", "a"])


@claim(
    "metadata-is-asked-by-name",
    "`variable.get_metadata('note')` returns the metadata of that name.",
    "lessons/own-types.md#see",
    instead="takes 1 positional argument but 2 were given",
)
def metadata_is_asked_by_name() -> None:
    need(nnx.Variable, "get_metadata")
    expect(param(note="a").get_metadata("note"), "a")


@claim(
    "metadata-is-no-attribute",
    "Metadata cannot be set by attribute: `param.note = 'a'` raises an AttributeError that names `set_metadata`.",
    "lessons/own-types.md#calls-that-raise-or-warn",
)
def metadata_is_no_attribute() -> None:
    variable = param()
    try:
        variable.note = "a"
    except AttributeError as error:
        expect("set_metadata" in str(error), True)
        return
    differs(f"the note is set to {variable.note!r}")


@claim(
    "metadata-is-static",
    "Metadata is a part of the compiled program: `nnx.jit` traces again when a note changes.",
    "lessons/own-types.md#see",
)
def metadata_is_static() -> None:
    model, (compiled, counted) = Holder(param(note="")), traces(lambda model: None)
    for note in ("a", "a", "b"):
        annotate(model.weight, note)
        compiled(model)
    expect(len(counted), 2)


@claim(
    "annotation-needs-a-mesh",
    "A Param with a sharding annotation raises a ValueError where no mesh is set.",
    "lessons/sharding.md#calls-that-raise",
    ISSUE,
)
def annotation_needs_a_mesh() -> None:
    keyword = spelled("out_sharding") or "sharding"  # the name today, and the older one
    raises(lambda: param(**{keyword: ("model",)}), ValueError, "mesh")


@claim(
    "annotation-is-out-sharding",
    "The keyword of a sharding annotation is `out_sharding`: `nnx.get_partition_spec` reads it.",
    "lessons/sharding.md#see",
    GUIDE,
)
def annotation_is_out_sharding() -> None:
    with lazy_sharding():
        (spec,) = leaves(nnx.get_partition_spec(nnx.state(Holder(param(out_sharding=("model",)))))).values()
    if "model" not in tuple(read(spec) or ()):
        differs("it is kept as any other metadata, and no sharding")


@claim(
    "sharding-keyword-warns",
    "The keyword `sharding` in `nnx.Param(x, sharding=axes)` emits a DeprecationWarning.",
    "pitfalls.md#sharding-keyword",
)
def sharding_keyword_warns() -> None:
    def annotate_without_a_mesh() -> None:
        with contextlib.suppress(ValueError):
            param(sharding=("model",))

    warns(annotate_without_a_mesh, DeprecationWarning, "'sharding' is deprecated, use 'out_sharding' instead")


@claim(
    "hook-changes-the-read",
    "A hook on reads, such as `nnx.Param(x, on_get_value=function)`, changes what a read returns.",
    "lessons/own-types.md#calls-that-raise-or-warn",
    GUIDE,
)
def hook_changes_the_read() -> None:
    seen = read(hooked()).tolist()
    if seen != [2.0, 2.0]:
        differs("a read returns the value as it is")


@claim(
    "hook-warns",
    "A hook such as `nnx.Param(x, on_get_value=function)` emits a UserWarning: it is deprecated.",
    "pitfalls.md#hooks",
)
def hook_warns() -> None:
    warns(lambda: read(hooked()), UserWarning, "Variable hooks are deprecated")


@claim(
    "get-value-is-overridden",
    "A subclass of `nnx.Param` may override `get_value`, and `variable[...]` and arithmetic see what it returns.",
    "lessons/own-types.md#see",
    GUIDE,
)
def get_value_is_overridden() -> None:
    need(nnx.Variable, "get_value")

    class Positive(nnx.Param[Any]):
        def get_value(self, **options: Any) -> Any:
            return super().get_value(**options) + 1.0

    variable = Positive(jnp.zeros(2))
    expect([variable[...].tolist(), (variable + 1.0).tolist()], [[1.0, 1.0], [2.0, 2.0]])


@claim(
    "repr-names-the-types",
    "`repr(model)` names the type of each Variable, Param and Variable.",
    "lessons/multi-param.md",
)
def repr_names_the_types() -> None:
    text = repr(Layer())
    expect(["kernel=Param(" in text, "count=Variable(" in text], [True, True])


@claim(
    "tabulate-has-a-column-a-type",
    "`nnx.tabulate(model, x)` returns a table with a column for each type of Variable.",
    "upgrading.md",
    GUIDE,
)
def tabulate_has_a_column_a_type() -> None:
    table = nnx.tabulate(Layer(), jnp.ones((1, 4)))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", table)  # without the colours
    heads = next(line for line in plain.splitlines() if "path" in line)
    expect([kind in re.split(r"[^A-Za-z]+", heads) for kind in ("path", "Param", "Variable")], [True] * 3)
