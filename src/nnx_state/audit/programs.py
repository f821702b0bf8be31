"""What the program of a call says, as JAX traces it: nothing is computed."""

import contextlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state._paths import leaves
from nnx_state.audit.calling import CallError, Inputs, called, copied, kept
from nnx_state.audit.lines import Place

FRAMEWORKS = (jax.__path__[0], flax.__path__[0], str(Path(__file__).parent))  # where no user's line stands


@dataclass(frozen=True)
class Program:
    """What the program of a call says, as JAX traces it.

    Attributes:
        unused: the paths of the Params on which no output depends.
        lost: the paths of the Variables that a function under a transform of JAX writes, and that stay as they were.
        forms: the shapes and dtypes of each leaf after no call, after one and after two; after none and one where the
            first changes none; empty where nothing could be traced.
    """

    unused: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    forms: list[dict[str, str]] = field(default_factory=list)


def program(model: nnx.Module, inputs: Inputs) -> Program:
    """Trace a call in training."""
    for watched in (True, False):  # a model that compares the metadata of its Variables cannot be watched
        with contextlib.suppress(CallError):
            return _traced(model, inputs, watched=watched)
    return Program(lost=_lost(model, inputs))  # it works on numbers alone, and has no program that could be read


def _traced(model: nnx.Module, inputs: Inputs, *, watched: bool) -> Program:
    parts: Any = nnx.split(copied(model, train=True), nnx.Param, ...)
    graphdef, params, rest = parts
    forms: list[dict[str, str]] = []
    lost: set[str] = set()

    def outputs(params: Any, rest: Any) -> Any:
        merged = nnx.merge(graphdef, params, rest)
        find_lost: Callable[[], set[str]] = _watch(merged) if watched else set
        forms.append(_forms(merged))
        with kept(merged):
            result = [leaf for leaf in jax.tree.leaves(called(merged, inputs)) if isinstance(leaf, jax.Array)]
            lost.update(find_lost())
            state = nnx.state(merged, nnx.Not(nnx.Param))
            forms.append(_forms(merged))
            if forms[0] != forms[1]:
                called(merged, inputs)
                forms.append(_forms(merged))
            return result, jax.tree.leaves(state)

    traced = jax.make_jaxpr(outputs)(params, rest).jaxpr
    needed = {variable for variable in traced.outvars if not hasattr(variable, "val")}
    for equation in reversed(traced.eqns):  # an inner jaxpr counts as a whole: what goes into it may be needed
        if needed & set(equation.outvars) or equation.effects:
            needed |= {variable for variable in equation.invars if not hasattr(variable, "val")}
    names = [path for path, leaf in leaves(params) for _ in jax.tree.leaves(leaf)]
    inputs_of_params = traced.invars[: len(names)]
    used = {name for name, variable in zip(names, inputs_of_params, strict=True) if variable in needed}
    return Program(set(names) - used, lost, forms)


def _lost(model: nnx.Module, inputs: Inputs) -> set[str]:
    """Return what is lost in a call with numbers; nothing where the model cannot be watched."""
    copy = copied(model, train=True)
    find_lost = _watch(copy)
    with kept(copy), contextlib.suppress(CallError):
        called(copy, inputs)
        return find_lost()
    return set()


def _watch(model: nnx.Module) -> Callable[[], set[str]]:
    """Watch the Variables of a model: what comes back tells which were written in a copy of theirs, and not here.

    A transform of JAX makes such copies, with the metadata of the Variables, and forgets them.
    One of NNX makes them too, and writes back.
    """
    variables = {path: leaf for path, leaf in leaves(model) if isinstance(leaf, nnx.Variable)}
    values = {path: variable.get_raw_value() for path, variable in variables.items()}
    written: set[str] = set()

    def hook(path: str, own: int) -> Callable[[Any, Any], Any]:
        def noticed(variable: Any, value: Any) -> Any:
            if id(variable) != own:
                written.add(path)
            return value

        return noticed

    for path, variable in variables.items():
        known = variable.get_metadata().get("on_set_value", ())
        hooks = known if isinstance(known, tuple) else (known,)
        variable.set_metadata(on_set_value=(*hooks, hook(path, id(variable))))
    return lambda: {path for path in written if variables[path].get_raw_value() is values[path]}


def _forms(model: nnx.Module) -> dict[str, str]:
    """Return the shapes and dtypes of each leaf; not of what `sow` collects, which grows until it is taken."""
    return {
        path: ", ".join(f"{array.dtype}{list(array.shape)}" for array in map(jnp.asarray, jax.tree.leaves(leaf)))
        for path, leaf in leaves(model)
        if not isinstance(leaf, nnx.Intermediate)
    }


def reused(model: nnx.Module, inputs: Inputs) -> tuple[str, Place | None] | None:
    """Make two calls in training, with JAX looking for keys that are taken twice: traced, or else with numbers."""
    graphdef, state = nnx.split(copied(model, train=True))

    def twice(state: Any) -> None:
        merged: Any = nnx.merge(graphdef, state)
        with kept(merged):
            for _ in range(2):
                called(merged, inputs.map(_fresh))  # a user gives each call a key of its own

    with jax.debug_key_reuse(True):
        for calls in (jax.make_jaxpr(twice), twice):
            try:
                calls(state)
            except (jax.errors.KeyReuseError, CallError) as error:
                told = error if isinstance(error, jax.errors.KeyReuseError) else error.__cause__
                if isinstance(told, jax.errors.KeyReuseError):
                    return str(told).splitlines()[0], _line_of(error)
            else:
                return None
    return None


def _fresh(value: Any) -> Any:
    clone: Any = jax.random.clone  # some releases of JAX give it types
    is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return clone(value) if is_key else value


def _line_of(error: BaseException) -> Place | None:
    """Return the last line of a traceback, and of what it was made from, that is none of the frameworks."""
    stack = traceback.extract_tb((error.__cause__ or error).__traceback__)
    mine = [frame for frame in stack if not frame.filename.startswith((*FRAMEWORKS, "<"))]
    return Place(mine[-1].filename, mine[-1].lineno or 0) if mine else None
