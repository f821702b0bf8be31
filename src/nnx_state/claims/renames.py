"""Names: what Flax has renamed or put aside, and whether it says so."""

import importlib

import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer
from nnx_state.claims.registry import claim, differs, expect, warns


@claim(
    "variable-state-is-variable",
    "`nnx.VariableState` is but another name of `nnx.Variable`.",
    "pitfalls.md#variable-state",
)
def variable_state_is_variable() -> None:
    if nnx.VariableState is not nnx.Variable:
        differs("it is a class of its own")


@claim("variable-state-warns", "`nnx.VariableState` emits a DeprecationWarning.", "pitfalls.md#variable-state")
def variable_state_warns() -> None:
    warns(
        lambda: nnx.VariableState,
        DeprecationWarning,
        "this is just an alias to 'Variable'",
    )


@claim("pure-warns", "`nnx.pure` emits a DeprecationWarning: its name is `nnx.as_pure`.", "upgrading.md")
def pure_warns() -> None:
    warns(lambda: nnx.pure(nnx.state(Layer())), DeprecationWarning, "Use as_pure instead")


@claim(
    "state-methods-warn",
    "`state.flat_state()` emits a DeprecationWarning: its name is `nnx.to_flat_state(state)`.",
    "pitfalls.md#state-methods",
)
def state_methods_warn() -> None:
    warns(lambda: nnx.state(Layer()).flat_state(), DeprecationWarning, "nnx.to_flat_state")


@claim("state-is-a-dict", "`nnx.state(model)` returns a plain Python `dict`.", "lessons/split-merge.md#predict")
def state_is_a_dict() -> None:
    state = nnx.state(Layer())
    if not isinstance(state, dict):
        differs(f"it is a {type(state).__name__}")


@claim(
    "raw-value-warns",
    "`variable.raw_value` emits a DeprecationWarning: its name is `variable.get_raw_value()`.",
    "lessons/reading-writing.md",
)
def raw_value_warns() -> None:
    warns(
        lambda: nnx.Param(jnp.ones(2)).raw_value,
        DeprecationWarning,
        "'.raw_value' access is now deprecated",
    )


@claim(
    "experimental-is-an-alias",
    "`flax.experimental.nnx.Param` is `nnx.Param`, so that old imports go on working.",
    "upgrading.md#flax-08",
)
def experimental_is_an_alias() -> None:
    expect(importlib.import_module("flax.experimental.nnx").Param is nnx.Param, True)
