"""Call copies of a model, so that the model itself stays as it is."""

import dataclasses
import inspect
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state._hidden import walk
from nnx_state._paths import dotted, leaves

CONTAINERS = (list, dict, set, deque)
EVALUATES = {  # what each argument that tells a mode is in evaluation
    "train": False,
    "training": False,
    "is_train": False,
    "is_training": False,
    "deterministic": True,
    "use_running_average": True,
    "inference": True,
    "eval_mode": True,
    "is_eval": True,
}
UNKNOWN = "mode"  # an argument that tells a mode, and does not say which value is which


class CallError(Exception):
    """The model raised when it was called, or cannot be called."""


@dataclass(frozen=True)
class Inputs:
    """Which method of a model is called, and what it gets.

    Attributes:
        method: its name.
        args: the positional arguments.
        kwargs: the keyword arguments.
    """

    method: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def map(self, change: Callable[[Any], Any]) -> "Inputs":
        """Return the same call with each leaf of its arguments changed."""
        args, kwargs = jax.tree.map(change, (self.args, self.kwargs))
        return Inputs(self.method, args, kwargs)


def filled(value: Any) -> Any:
    """Return an array for a shape: floats between 0 and 1, and otherwise zeros; what is no shape stays."""
    if not isinstance(value, jax.ShapeDtypeStruct):
        return value
    if jnp.issubdtype(value.dtype, jnp.floating):
        return jax.random.uniform(jax.random.key(0), value.shape, value.dtype)
    return jnp.zeros(value.shape, value.dtype)


def modes(model: nnx.Module, inputs: Inputs) -> set[str]:
    """Return the arguments that tell a call its mode: with one, `model.eval()` alone does not say it.

    An argument that the call hands on, as one of `**kwargs`, is known from the inputs.
    """
    parameters = inspect.signature(_method(model, inputs)).parameters
    return (EVALUATES.keys() | {UNKNOWN}) & (parameters.keys() | inputs.kwargs.keys())


def evaluating(model: Any, inputs: Inputs, names: set[str]) -> Inputs | None:
    """Return a call with the arguments that tell its mode, which `modes` names, set to evaluation.

    Returns:
        None where one of them is no bool, or the call takes other arguments than its signature says.
    """
    if UNKNOWN in names:
        return None
    signature = inspect.signature(_method(model, inputs))
    try:
        bound = signature.bind(*inputs.args, **inputs.kwargs)
    except TypeError:
        return None
    own = names & signature.parameters.keys()
    given = [bound.arguments.get(name, signature.parameters[name].default) for name in own]
    if not all(isinstance(value, bool | None) for value in given):
        return None
    bound.arguments |= {name: EVALUATES[name] for name in own}
    if handed_on := names - own:
        (rest,) = (one.name for one in signature.parameters.values() if one.kind is one.VAR_KEYWORD)
        bound.arguments[rest] |= {name: EVALUATES[name] for name in handed_on}
    return dataclasses.replace(inputs, args=bound.args, kwargs=bound.kwargs)


def copied(model: nnx.Module, *, train: bool) -> Any:
    """Return a copy with arrays of its own, in train or eval mode.

    Raises:
        CallError: If a Variable is a reference, which a copy would share.
    """
    for path, leaf in leaves(model):
        if isinstance(leaf, nnx.Variable) and (leaf.ref or leaf.hijax):
            raise CallError(
                f"`{path}` is a reference, so that a call of a copy would change it too: "
                "audit the model without inputs."
            )
    copy: Any = nnx.clone(model, arrays=True)
    (copy.train if train else copy.eval)()
    return copy


def called(model: Any, inputs: Inputs) -> Any:
    """Return what a model returns.

    Raises:
        CallError: If it raises, or cannot be called.
    """
    method = _method(model, inputs)
    try:
        return method(*inputs.args, **inputs.kwargs)
    except Exception as error:
        raise CallError(f"{type(error).__name__}: {error}") from error


def _method(model: Any, inputs: Inputs) -> Callable[..., Any]:
    method = getattr(model, inputs.method, None)
    if not callable(method):
        own = itertools.takewhile(lambda one: not one.__module__.startswith("flax."), type(model).__mro__)
        others = [name for one in own for name, value in vars(one).items() if name[0] != "_" and callable(value)]
        hint = f": name the one to call, such as {', '.join(others[:3])}" if others else ""
        raise CallError(f"its class {type(model).__name__} has no method {inputs.method}{hint}.")
    return method  # type: ignore[no-any-return]


@contextmanager
def kept(model: nnx.Module) -> Iterator[Callable[[], dict[str, tuple[str, str]]]]:
    """Bring back, after a call of a copy, what the state does not hold: the copy shares it with the model.

    Yields:
        A function that tells the containers of Python that were changed in place, by path, before and after.
    """
    shared = list(walk(model))
    variables = [(value, value.get_raw_value()) for _, value in shared if isinstance(value, nnx.Variable)]
    containers = [(dotted(path), value, type(value)(value)) for path, value in shared if type(value) in CONTAINERS]

    def changed() -> dict[str, tuple[str, str]]:
        return {path: _change_of(old, new) for path, new, old in containers if _content(old) != _content(new)}

    try:
        yield changed
    finally:
        for variable, raw in variables:
            if variable.get_raw_value() is not raw:
                variable.set_raw_value(raw)
        for _, container, content in containers:
            if _content(container) != _content(content):
                container.clear()
                (container.update if isinstance(container, dict | set) else container.extend)(content)


def _content(container: Any) -> list[int]:
    """Return what tells the content of a container from another: which objects it holds."""
    return [id(one) for one in (*container, *(container.values() if isinstance(container, dict) else ()))]


def _change_of(old: Any, new: Any) -> tuple[str, str]:
    kind = type(old).__name__
    return f"a {kind} of {len(old)}", f"a {kind} of {len(new)}{' others' * (len(old) == len(new))}"
