"""Types of Variables: what a filter, a gradient and an optimizer make of a class that is not plain."""

import contextlib
from typing import Any

import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state.claims.compat import Layer, grad, leaves, names, numbers, optimizer, read, update
from nnx_state.claims.registry import claim, differs, expect, need, raises

GUIDE = "a guide of Flax"


class Buffer(nnx.Variable[Any]):
    """A type of its own beside Param."""


class Gain(nnx.Param[Any]):
    """A type of its own under Param."""


class Scaled(nnx.Module):
    """A layer with a kernel, a gain and a buffer, all of which its output depends on."""

    def __init__(self) -> None:
        self.kernel = nnx.Param(jnp.ones(()))
        self.gain = Gain(jnp.ones(()))
        self.buffer = Buffer(jnp.ones(()))


def product(model: Any) -> Any:
    return read(model.kernel) * read(model.gain) * read(model.buffer)


def adapted() -> Any:
    return nnx.LoRALinear(4, 2, lora_rank=2, rngs=nnx.Rngs(0))


def squares(model: Any) -> Any:
    return jnp.sum((model(jnp.ones((1, 4))) - 1.0) ** 2)


def changed(model: Any, function: Any, kind: Any) -> list[str]:
    """Return the names of the leaves that a step of AdamW changes; gradient and optimizer share a filter."""
    before = numbers(model)
    trained = optimizer(model, optax.adamw(0.1, weight_decay=0.1), wrt=kind)
    update(trained, model, grad(function, model, only=kind))
    after = numbers(model)
    return sorted(path.split(".")[-1] for path in before if before[path] != after[path])


@claim(
    "own-type-has-its-filter",
    "A subclass of `nnx.Variable` is found by a filter of that class, and is not among the Params.",
    "lessons/own-types.md#see",
    GUIDE,
)
def own_type_has_its_filter() -> None:
    expect(names(nnx.state(Scaled(), Buffer)), ["buffer"])
    expect(names(nnx.state(Scaled(), nnx.Param)), ["gain", "kernel"])


@claim(
    "own-type-is-not-trained",
    "A subclass of `nnx.Variable` gets no gradient by default, and the optimizer leaves it alone.",
    "lessons/own-types.md#see",
)
def own_type_is_not_trained() -> None:
    expect(names(grad(product, Scaled())), ["gain", "kernel"])
    expect(changed(Scaled(), product, nnx.Param), ["gain", "kernel"])


@claim(
    "param-subclass-is-trained",
    "A subclass of `nnx.Param` is differentiated and trained by default, since a filter asks `isinstance`.",
    "lessons/own-types.md#predict",
)
def param_subclass_is_trained() -> None:
    expect(["gain" in names(grad(product, Scaled())), "gain" in changed(Scaled(), product, nnx.Param)], [True, True])


@claim(
    "subclass-goes-before-its-base",
    "In `nnx.split(model, nnx.Param, Gain, ...)` the group of `Gain` is empty, if `Gain` is a subclass of `nnx.Param`.",
    "lessons/own-types.md#see",
)
def subclass_goes_before_its_base() -> None:
    groups: Any = nnx.split(Scaled(), nnx.Param, Gain, ...)
    expect([names(group) for group in groups[1:]], [["gain", "kernel"], [], ["buffer"]])


@claim(
    "state-keeps-the-own-type",
    "`nnx.merge(*nnx.split(model))` gives a Variable of your own class back as that class.",
    "lessons/own-types.md#see",
)
def state_keeps_the_own_type() -> None:
    merged = nnx.merge(*nnx.split(Scaled()))
    expect([type(leaf).__name__ for leaf in (merged.kernel, merged.gain, merged.buffer)], ["Param", "Gain", "Buffer"])


@claim(
    "batch-stat-and-cache-are-no-params",
    "`nnx.BatchStat`, `nnx.Cache` and `nnx.Intermediate` are subclasses of `nnx.Variable` and not of `nnx.Param`.",
    "lessons/multi-param.md#see",
    GUIDE,
)
def batch_stat_and_cache_are_no_params() -> None:
    kinds = (nnx.BatchStat, nnx.Cache, nnx.Intermediate)
    expect([issubclass(kind, nnx.Variable) for kind in kinds], [True] * 3)
    expect([issubclass(kind, nnx.Param) for kind in kinds], [False] * 3)


@claim(
    "random-state-is-no-param",
    "The key and the count of a random stream are Variables, of the types `nnx.RngKey` and `nnx.RngCount`.",
    "lessons/randomness.md#see",
    GUIDE,
)
def random_state_is_no_param() -> None:
    kinds = (nnx.RngKey, nnx.RngCount)
    expect([issubclass(kind, nnx.Variable) and not issubclass(kind, nnx.Param) for kind in kinds], [True, True])
    expect([names(nnx.state(nnx.Rngs(0), kind)) for kind in kinds], [["default.key"], ["default.count"]])


@claim(
    "lora-param-is-a-param",
    "`nnx.LoRAParam` is a subclass of `nnx.Param`, so that `nnx.state(model, nnx.Param)` holds the adapter too.",
    "lessons/freezing.md#the-base-of-an-adapter-is-a-param-too",
)
def lora_param_is_a_param() -> None:
    found = {path.split(".")[-1] for path in names(adapted())}
    expect(sorted(found), ["bias", "kernel", "lora_a", "lora_b"])
    expect(names(nnx.state(adapted(), nnx.Not(nnx.Param))), [])
    expect(issubclass(nnx.LoRAParam, nnx.Param), True)


@claim(
    "lora-filter-trains-the-adapter",
    "With `nnx.LoRAParam` as the filter of the gradient and the optimizer, a step leaves the base of an adapter alone.",
    "lessons/freezing.md#the-base-of-an-adapter-is-a-param-too",
    GUIDE,
)
def lora_filter_trains_the_adapter() -> None:
    expect(changed(adapted(), squares, nnx.LoRAParam), ["lora_a", "lora_b"])


@claim(
    "adapter-trains-its-base",
    "An adapter freezes its base: with the default filters a step changes only the LoRA Params.",
    "lessons/freezing.md#the-base-of-an-adapter-is-a-param-too",
)
def adapter_trains_its_base() -> None:
    need(nnx, "LoRAParam")
    seen = changed(adapted(), squares, nnx.Param)
    if seen != ["lora_a", "lora_b"]:
        differs(f"the step changes {', '.join(seen)}")


@claim(
    "type-has-a-linen-name",
    "`nnx.variable_name_from_type(nnx.Param)` is `'params'`, the name of the collection in Linen.",
    "lessons/own-types.md#calls-that-raise-or-warn",
    GUIDE,
)
def type_has_a_linen_name() -> None:
    kinds = (nnx.Param, nnx.BatchStat, nnx.Cache, nnx.Intermediate)
    found = [nnx.variable_name_from_type(kind) for kind in kinds]
    expect(found, ["params", "batch_stats", "cache", "intermediates"])


@claim(
    "own-type-has-no-name",
    "A type of your own has no name until `nnx.register_variable_name` gives it one: to ask raises a ValueError.",
    "lessons/own-types.md#calls-that-raise-or-warn",
)
def own_type_has_no_name() -> None:

    class Fresh(nnx.Variable[Any]): ...

    need(nnx, "variable_name_from_type")
    raises(lambda: nnx.variable_name_from_type(Fresh), ValueError, "not registered")
    nnx.register_variable_name("variable_types_fresh", Fresh, overwrite=True)
    expect(nnx.variable_name_from_type(Fresh), "variable_types_fresh")


@claim(
    "name-cannot-be-taken-twice",
    "To register a name that a type of Flax has, such as `params`, raises a ValueError.",
    "lessons/own-types.md#calls-that-raise-or-warn",
)
def name_cannot_be_taken_twice() -> None:
    register = getattr(nnx, "register_variable_name_type_pair", None)  # its older name
    if register is None:
        need(nnx, "register_variable_name")
        register = nnx.register_variable_name
    try:
        register("params", Gain)
    except ValueError as error:
        expect("already mapped" in str(error), True)
    else:
        differs("nothing is raised: the name is that of the new type")
    finally:
        with contextlib.suppress(ValueError):
            register("params", nnx.Param)


@claim(
    "ema-averages-are-params",
    "The averages that `nnx.EMA` keeps of Params are Params too, which an optimizer of the whole model finds.",
    "lessons/own-types.md#the-averages-are-params-or-arrays",
)
def ema_averages_are_params() -> None:
    averages: Any = nnx.EMA(Layer(), 0.9, only=nnx.Param)
    expect({type(leaf).__name__ for leaf in leaves(averages.params).values()}, {"Param"})
    whole: Any = Layer()
    whole.averages = averages
    moments = optimizer(whole, optax.adam(0.1)).opt_state[0]
    expect({"averages.params.bias", "averages.params.kernel"} <= set(names(moments.mu)), True)
