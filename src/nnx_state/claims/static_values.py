"""Static values: settings that are changed in place, cannot be hashed, or are misspelt."""

import copy
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, traces, under
from nnx_state.claims.registry import claim, differs, expect, need, raises, works

AGAIN = "lessons/transforms.md#the-step-compiles-at-every-call"
STATIC = "lessons/homes.md#a-static-counter"
COPIES = "lessons/split-merge.md#see"
MODES = "lessons/batch-stats.md#evaluation-without-eval"
ISSUE = "an issue of Flax"


class Scaled(nnx.Module):
    """A model with settings in a plain dict or list, and a Param.

    Args:
        settings: a dict with a scale, or a list of names.
    """

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.weight = nnx.Param(jnp.ones(()))

    def __call__(self, x: Any) -> Any:
        """Return the input times the scale, or times the number of names."""
        if isinstance(self.settings, (list, tuple)):
            return x * len(self.settings)
        return x * self.settings["scale"]


class Activated(nnx.Module):
    """A model that holds a function.

    Args:
        activation: the function.
    """

    def __init__(self, activation: Callable[[Any], Any]) -> None:
        self.activation = activation
        self.weight = nnx.Param(jnp.ones(()))


def sees_three(call: Any, model: Any) -> None:
    """Go on where a call multiplies by the three that the settings hold by now."""
    if (seen := float(works(lambda: call(model)))) != 3.0:
        differs(f"it multiplies by {seen:.0f}, as before")


def dropping() -> Any:
    """Return a layer, and a Dropout behind it that draws."""
    return nnx.Sequential(
        nnx.Linear(4, 64, use_bias=False, kernel_init=nnx.initializers.ones, rngs=nnx.Rngs(0)),
        nnx.Dropout(0.5, rngs=nnx.Rngs(1)),
    )


def dropped(y: Any) -> bool:
    """Tell whether an output holds zeros."""
    return bool((y == 0.0).any())


@claim(
    "jit-sees-a-list-changed-in-place",
    "A call under `nnx.jit` sees a plain list of settings that was changed in place.",
    AGAIN,
    ISSUE,
)
def jit_sees_a_list_changed_in_place() -> None:
    model = Scaled(["relu", "norm"])
    call: Any = nnx.jit(lambda model: model(1.0))
    expect(float(works(lambda: call(model))), 2.0)
    model.settings.append("dropout")
    expect(model(1.0), 3.0)
    sees_three(call, model)


@claim(
    "jit-sees-a-dict-changed-in-place",
    "A call under `nnx.jit` sees a plain dict of settings that was changed in place.",
    AGAIN,
    ISSUE,
)
def jit_sees_a_dict_changed_in_place() -> None:
    model = Scaled({"scale": 2.0})
    call: Any = nnx.jit(lambda model: model(1.0))
    expect(float(works(lambda: call(model))), 2.0)
    model.settings["scale"] = 3.0
    expect(model(1.0), 3.0)
    sees_three(call, model)


@claim(
    "jit-sees-a-new-dict",
    "A call under `nnx.jit` sees a plain dict of settings that was put in the place of another.",
    AGAIN,
)
def jit_sees_a_new_dict() -> None:
    model = Scaled({"scale": 1.0})
    call = under(nnx.jit, lambda model: model(1.0))
    expect(float(works(lambda: call(model))), 1.0)
    model.settings = {"scale": 3.0}
    expect(float(works(lambda: call(model))), 3.0)


@claim(
    "an-equal-dict-is-not-traced-again",
    "A model with another dict of equal settings is not traced again.",
    AGAIN,
)
def an_equal_dict_is_not_traced_again() -> None:
    call, traced = traces(lambda model: model(1.0))
    for _ in range(2):
        expect(float(works(lambda: call(Scaled({"scale": 2.0})))), 2.0)
    expect(len(traced), 1)


@claim(
    "a-fresh-lambda-is-traced-again",
    "A model that is built anew with a fresh lambda among its attributes is traced again.",
    AGAIN,
)
def a_fresh_lambda_is_traced_again() -> None:
    call, traced = traces(lambda model: model.activation(model.weight * 2.0))
    for _ in range(2):
        expect(float(works(lambda: call(Activated(jnp.tanh)))) < 1.0, True)
    expect(len(traced), 1)
    for _ in range(2):
        works(lambda: call(Activated(lambda x: x)))
    expect(len(traced), 3)


@claim(
    "clone-has-its-own-settings",
    "A dict of settings that is changed in place in `nnx.clone(model)` stays as it was in the model.",
    COPIES,
)
def clone_has_its_own_settings() -> None:
    model = Scaled({"scale": 2.0})
    clone = works(lambda: nnx.clone(model))
    expect(clone is model, False)
    clone.settings["scale"] = 3.0
    expect(float(clone(1.0)), 3.0)
    expect(float(model(1.0)), 2.0)


@claim(
    "deepcopy-has-its-own-settings",
    "A dict of settings that is changed in place in `copy.deepcopy(model)` stays as it was in the model.",
    COPIES,
)
def deepcopy_has_its_own_settings() -> None:
    model = Scaled({"scale": 2.0})
    taken = copy.deepcopy(model)
    taken.settings["scale"] = 3.0
    expect(float(taken(1.0)), 3.0)
    expect(float(model(1.0)), 2.0)


@claim(
    "settings-keep-a-graphdef-from-hashing",
    "The graphdef of a model with a dict of settings is no static argument of `jax.jit`: it raises a ValueError.",
    "lessons/cost.md#calls-that-raise",
    ISSUE,
)
def settings_keep_a_graphdef_from_hashing() -> None:
    call: Any = jax.jit(lambda graph, state: nnx.merge(graph, state)(jnp.ones(4)), static_argnums=0)
    expect(works(lambda: call(*nnx.split(Layer()))).shape, (2,))
    raises(lambda: call(*nnx.split(Scaled({"scale": 1.0}))), ValueError, "Non-hashable static arguments")


@claim(
    "eval-refuses-an-unknown-name",
    "`model.eval(determinstic=True)`, with a misspelt name, raises a ValueError.",
    MODES,
)
def eval_refuses_an_unknown_name() -> None:
    model: Any = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    try:
        model.eval(determinstic=True)
    except ValueError as error:
        expect("determinstic" in str(error), True)
        return
    differs(f"nothing is raised, and `deterministic` is {model.deterministic}")


@claim(
    "set-attributes-refuses-an-unknown-name",
    "`model.set_attributes` raises a ValueError where no layer has an attribute of that name.",
    MODES,
)
def set_attributes_refuses_an_unknown_name() -> None:
    need(nnx.Module, "set_attributes")
    model = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    text = "Could not find at least one instance of the following attributes"
    raises(lambda: model.set_attributes(determinstic=True), ValueError, text)


@claim(
    "view-refuses-an-unknown-name",
    "`nnx.view` raises a ValueError where no layer has an attribute of that name.",
    MODES,
)
def view_refuses_an_unknown_name() -> None:
    model = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    raises(lambda: nnx.view(model, determinstic=True), ValueError, "Unused keys found in nnx.view: ['determinstic']")


@claim(
    "param-refuses-an-unknown-keyword",
    "`nnx.Param(x, shardnig=('model',))`, with a misspelt keyword, raises a TypeError.",
    "lessons/sharding.md#calls-that-raise",
)
def param_refuses_an_unknown_keyword() -> None:
    try:
        made: Any = nnx.Param(jnp.ones(2), shardnig=("model",))
    except TypeError as error:
        expect("shardnig" in str(error), True)
        return
    differs(f"it is kept as metadata: {made.shardnig}")


@claim(
    "sequential-hands-a-keyword-on",
    "A call of `nnx.Sequential` with `deterministic=True` switches off a Dropout behind a Linear.",
    "lessons/containers.md#see",
)
def sequential_hands_a_keyword_on() -> None:
    model = dropping()
    expect(dropped(works(lambda: model(jnp.ones(4)))), True)
    output = works(lambda: model(jnp.ones(4), deterministic=True))
    expect(dropped(output), False)


@claim(
    "sequential-refuses-an-unknown-keyword",
    "A call of `nnx.Sequential` with a keyword that none of its layers takes raises a TypeError.",
    "lessons/containers.md#what-raises",
)
def sequential_refuses_an_unknown_keyword() -> None:
    raises(lambda: dropping()(jnp.ones(4), determinstic=True), TypeError, "determinstic")
