"""Faults that need a call: each is in a subclass of the module, whose lines are those of this file."""

import functools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.audit.calling import Inputs, modes
from workshop.zoo.faults import commented
from workshop.zoo.faults.base import Lines, Planted, become, fault


def _acting(model: Any) -> Any:
    """Return a subclass of a model's class that does something of its own before each call."""
    base: Any = type(model)

    class Acting(base):  # type: ignore[misc]
        @functools.wraps(base.__call__)
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            self.planted_call()
            return super().__call__(*arguments, **options)

    return Acting


@fault("half-average")
def _half_average(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Coarse(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_mean = nnx.BatchStat(jnp.zeros(2, jnp.bfloat16))

    return become(model, Coarse, "planted_mean")


@fault("written-param")
def _written_param(model: Any, _: Lines) -> Planted | None:
    class Written(_acting(model)):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_steps = nnx.Param(jnp.array(0.0))

        def planted_call(self) -> None:
            self.planted_steps[...] += 1

    return become(model, Written, "planted_steps")


@fault("eval-writes")
def _eval_writes(model: Any, _: Lines) -> Planted | None:
    if modes(model, Inputs("__call__")):
        return None  # `model.eval()` alone does not say that it evaluates

    class Averaged(_acting(model)):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_mean = nnx.BatchStat(jnp.array(0.0))

        def planted_call(self) -> None:
            self.planted_mean[...] = 0.9 * self.planted_mean[...] + 0.1

    return become(model, Averaged, "planted_mean")


@fault("mode-unheard")
def _mode_unheard(model: Any, _: Lines) -> Planted | None:
    class Drawing(_acting(model)):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_drop = nnx.Dropout(0.5, rngs=nnx.Rngs(4711))  # the seed of no other stream

        def planted_call(self) -> None:
            self.planted_drop(jnp.ones(3), deterministic=False)

    planted = become(model, Drawing, "planted_drop")
    return planted and replace(planted, path="planted_drop.rngs.count")


@fault("unused-param")
def _unused_param(model: Any, _: Lines) -> Planted | None:
    base: Any = type(model)

    class Forgetful(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_weight = nnx.Param(jnp.ones(3))

    return become(model, Forgetful, "planted_weight")


@fault("static-written")
def _static_written(model: Any, _: Lines) -> Planted | None:
    class Counting(_acting(model)):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_calls = 0

        def planted_call(self) -> None:
            self.planted_calls += 1

    return become(model, Counting, "planted_calls")


@fault("array-written")
def _array_written(model: Any, _: Lines) -> Planted | None:
    class Keeping(_acting(model)):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_seen = jnp.array(0)

        def planted_call(self) -> None:
            self.planted_seen += 1

    return become(model, Keeping, "planted_seen")


@fault("lost-write")
def _lost_write(model: Any, _: Lines) -> Planted | None:
    class Losing(_acting(model)):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_count = nnx.Variable(jnp.array(0))

        def planted_call(self) -> None:
            jax.checkpoint(_count)(self.planted_count)

    return become(model, Losing, "planted_count")


def _count(variable: Any) -> None:
    variable[...] += 1


@fault("compiles-again")
def _compiles_again(model: Any, _: Lines) -> Planted | None:
    class Growing(_acting(model)):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_cache = nnx.Cache(jnp.zeros(1))

        def planted_call(self) -> None:
            self.planted_cache.set_value(jnp.append(self.planted_cache[...], 0.0))

    return become(model, Growing, "planted_cache")


@fault("float-counter")
def _float_counter(model: Any, _: Lines) -> Planted | None:
    class Rounding(_acting(model)):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_steps = nnx.Variable(jnp.array(0.0))

        def planted_call(self) -> None:
            self.planted_steps[...] += 1

    return become(model, Rounding, "planted_steps")


@fault("key-reuse")
def _key_reuse(model: Any, _: Lines) -> Planted | None:
    class Repeating(_acting(model)):  # type: ignore[misc]
        def plant(self) -> None:
            """Plant nothing: the fault is in the call."""

        def planted_call(self) -> None:
            key = jax.random.key(0)
            jax.random.normal(key)
            jax.random.normal(key)  # the same number

    planted = become(model, Repeating, "planted_key", sign="# the same number")
    return planted and replace(planted, path="")


@fault("unused-ignore")
def _unused_ignore(model: Any, _: Lines) -> Planted | None:
    planted = become(model, commented.commented(type(model)), "planted_size")
    return planted and replace(planted, path="")
