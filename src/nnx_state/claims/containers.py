"""Containers: what becomes of layers in a list, a tuple or a dict."""

import functools
from typing import Any

import jax.numpy as jnp
from flax import nnx

from nnx_state.claims.compat import Layer, grad, names, read
from nnx_state.claims.registry import NotApplicable, claim, expect, need, raises

PAGE = "lessons/containers.md"
GUIDE = "a guide of Flax"
LAYER = ["bias", "count", "kernel"]
# What Flax says of a plain container that holds data, today and before.
FOUND = ("Found data on value of type", "Found unexpected Arrays on value of type")


class Holder(nnx.Module):
    """A module with one attribute."""

    def __init__(self, held: Any) -> None:
        self.held = held


def holding(container: Any) -> list[str]:
    """Return the paths in the state of a module that holds a container."""
    return names(Holder(container))


def under(path: str) -> list[str]:
    """Return the paths of a Layer in a container."""
    return [f"held.{path}.{name}" for name in LAYER]


@claim(
    "list-of-variables-is-refused",
    "A plain list of Variables in an attribute raises a ValueError.",
    f"{PAGE}#predict",
)
def list_of_variables_is_refused() -> None:
    raises(lambda: holding([nnx.Param(jnp.zeros(2))]), ValueError, FOUND)


@claim(
    "containers-of-layers-are-refused",
    "A plain list, tuple or dict of layers in an attribute raises a ValueError.",
    f"{PAGE}#what-raises",
)
def containers_of_layers_are_refused() -> None:
    for container in ([Layer()], (Layer(),), {"a": Layer()}):
        raises(functools.partial(holding, container), ValueError, FOUND)


@claim(
    "list-of-layers-is-state",
    "The layers in a plain list are a part of the state.",
    f"{PAGE}#predict",
    GUIDE,
    instead=FOUND,
)
def list_of_layers_is_state() -> None:
    expect(names(Holder([Layer()])), under("0"))


@claim(
    "late-layer-is-state",
    "A layer that is appended to a plain list is a part of the state, and has gradients.",
    f"{PAGE}#a-layer-that-nobody-trains",
)
def late_layer_is_state() -> None:
    model = Holder([])
    model.held.append(Layer())
    expect(names(model), under("0"))
    gradients = grad(lambda model: jnp.sum(read(model.held[0].kernel)), model)
    expect(names(gradients), ["held.0.bias", "held.0.kernel"])


@claim(
    "check-pytree-finds-a-late-layer",
    "`nnx.check_pytree` raises a ValueError where a layer was appended to a plain list.",
    f"{PAGE}#what-raises",
)
def check_pytree_finds_a_late_layer() -> None:
    check: Any = nnx.check_pytree
    model = Holder([])
    model.held.append(Layer())
    raises(lambda: check(model), ValueError, "Found unexpected")


@claim(
    "nnx-list-holds-layers",
    "`nnx.List` holds layers and Variables, and the Params in it are in `nnx.state(model, nnx.Param)`.",
    f"{PAGE}#see",
    GUIDE,
)
def nnx_list_holds_layers() -> None:
    model = Holder(nnx.List([Layer(), nnx.Param(jnp.zeros(2)), nnx.relu]))
    expect(names(nnx.state(model, nnx.Param)), ["held.0.bias", "held.0.kernel", "held.1"])


@claim(
    "nnx-list-grows",
    "A layer that is appended to an `nnx.List` is a part of the state.",
    f"{PAGE}#run",
)
def nnx_list_grows() -> None:
    need(nnx.List, "append")
    model = Holder(nnx.List([]))
    model.held.append(Layer())
    expect(names(model), under("0"))


@claim(
    "nnx-dict-holds-layers",
    "`nnx.Dict` holds layers and Variables, and the Params in it are in `nnx.state(model, nnx.Param)`.",
    f"{PAGE}#see",
    GUIDE,
)
def nnx_dict_holds_layers() -> None:
    model = Holder(nnx.Dict(a=Layer(), b=nnx.Param(jnp.zeros(2)), c=nnx.relu))
    expect(names(nnx.state(model, nnx.Param)), ["held.a.bias", "held.a.kernel", "held.b"])


@claim(
    "sequential-holds-layers",
    "`nnx.Sequential` takes layers and functions, and the layers are a part of its state.",
    f"{PAGE}#see",
)
def sequential_holds_layers() -> None:
    expect(names(nnx.Sequential(Layer(), nnx.relu)), [f"layers.0.{name}" for name in LAYER])


@claim(
    "data-marks-a-list",
    "`nnx.data([...])` makes a plain list of layers a part of the state.",
    f"{PAGE}#see",
)
def data_marks_a_list() -> None:
    model = Holder(nnx.data([Layer()]))
    expect(names(model), under("0"))
    expect(type(model.held).__name__, "list")


@claim(
    "no-pytree-takes-a-list",
    "A plain list of Variables is a part of the state of a class with `pytree=False`.",
    f"{PAGE}#see",
)
def no_pytree_takes_a_list() -> None:
    try:

        class Closed(Holder, pytree=False):
            pass

    except TypeError:
        raise NotApplicable("nnx.Module takes no pytree=") from None
    expect(names(Closed([nnx.Param(jnp.zeros(2))])), ["held.0"])
