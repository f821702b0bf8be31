"""Faults of a training program around the module: its optimizer, its gradients, and how it is saved."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from flax import nnx

from nnx_state._paths import dotted
from nnx_state.audit import Row
from nnx_state.audit.rules.optimizers import NORMS
from workshop.zoo.faults.base import Lines, Planted, become, fault, first, params, replace

FILTER = "optimizer.wrt"  # the path at which a filter is found


def _only(path: str) -> Callable[[Any, Any], bool]:
    """Return a filter that matches one path."""
    return lambda parts, _: dotted(parts) == path


def _params_but(row: Row) -> Any:
    """Return a filter that matches all Params but one."""
    return nnx.All(nnx.Param, nnx.Not(_only(row.path)))


def _trained(tx: optax.GradientTransformation, wrt: Any, **gradients: Any) -> dict[str, Any]:
    """Return what the audit is given of a program that trains with a rule and a filter."""

    def make(model: nnx.Module) -> nnx.Optimizer[Any]:
        return nnx.Optimizer(model, tx, wrt=wrt)

    return {"optimizer": make, **gradients}


def _at_filter(given: dict[str, Any]) -> Planted:
    """Return a fault that is in the filter of an optimizer, in the line below the head of its function."""
    code = given["optimizer"].__code__
    return Planted(FILTER, (code.co_filename, code.co_firstlineno + 1), FILTER, given)


@fault("wrt-matches-nothing")
def _wrt_matches_nothing(model: Any, _: Lines) -> Planted | None:
    return _at_filter(_trained(optax.sgd(0.1), nnx.PathContains("no such layer"))) if first(model) else None


@fault("wrt-differs")
def _wrt_differs(model: Any, _: Lines) -> Planted | None:
    if row := first(model):
        return _at_filter(_trained(optax.sgd(0.1), nnx.Param, gradients=_params_but(row)))
    return None


@fault("unused-gradient")
def _unused_gradient(model: Any, _: Lines) -> Planted | None:
    if len(rows := [*params(model)]) > 1:
        return _at_filter(_trained(optax.sgd(0.1), _params_but(rows[0]), gradients=nnx.Param))
    return None


@fault("foreign-optimizer")
def _foreign_optimizer(model: Any, _: Lines) -> Planted | None:
    def make(model: nnx.Module) -> nnx.Optimizer[Any]:
        return nnx.ModelAndOptimizer(nnx.clone(model), optax.sgd(0.1), wrt=nnx.Param)

    return _at_filter({"optimizer": make}) if first(model) else None


def _average(model: Any, tx: optax.GradientTransformation) -> Planted | None:
    """Add an average that an optimizer trains."""
    base: Any = type(model)

    class Averaged(base):  # type: ignore[misc]
        def plant(self) -> None:
            self.planted_mean = nnx.BatchStat(jnp.zeros(2))

    planted = become(model, Averaged, "planted_mean")
    return planted and dataclasses.replace(planted, given=_trained(tx, _only(planted.path)))


@fault("trained-state")
def _trained_state(model: Any, _: Lines) -> Planted | None:
    return _average(model, optax.sgd(0.1))


@fault("decay-on-state")
def _decay_on_state(model: Any, _: Lines) -> Planted | None:
    return _average(model, optax.adamw(0.1))


@fault("decay-on-bias")
def _decay_on_bias(model: Any, lines: Lines) -> Planted | None:
    for row in params(model):
        if row.name == "bias" or issubclass(row.owner, NORMS):
            return Planted(row.path, lines(row.path), row.path, _trained(optax.adamw(0.1), _only(row.path)))
    return None


@fault("lost-in-checkpoint")
def _lost_in_checkpoint(model: Any, lines: Lines) -> Planted | None:
    if row := first(model):
        planted = replace(model, lines, row, nnx.Variable(jnp.zeros((0, 2))))
        return dataclasses.replace(planted, given={"save": "orbax"})
    return None


@fault("save-forgets")
def _save_forgets(model: Any, lines: Lines) -> Planted | None:
    row = first(model)
    return Planted(row.path, lines(row.path), row.path, _saved_without(row)) if row else None


def _saved_without(row: Row) -> dict[str, Any]:
    """Return a save and a restore that forget one leaf; what they keep is in memory."""
    kept: dict[str, Any] = {}

    def save(model: nnx.Module, folder: str) -> None:
        kept[folder] = nnx.split(nnx.clone(model), _only(row.path), ...)

    def restore(model: nnx.Module, folder: str) -> Any:
        parts: Any = nnx.split(model, _only(row.path), ...)
        return nnx.merge(*parts[:2], kept[folder][2])  # a tuple could not be updated

    return {"save": save, "restore": restore}
