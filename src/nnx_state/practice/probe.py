"""What the checks of an exercise look at an attempt with: its names, its lines, the home of a value, its numbers."""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nnx_state.practice.findings import Finding
from nnx_state.practice.lines import first_line


class Stop(Exception):  # noqa: N818 - it ends the checks and is no error
    """A finding after which nothing more can be checked."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.name)
        self.finding = finding


@dataclass
class Attempt:
    """A learner's file while it is graded.

    Attributes:
        path: where it is.
        source: its text.
        module: its names, once it has run.
        calling: what is being tried, for the message if it fails.
    """

    path: Path
    source: str
    module: ModuleType
    calling: str = ""

    @contextlib.contextmanager
    def does(self, what: str) -> Iterator[None]:
        """Name what is being tried, such as `model(x)`, while it is tried; where it fails, the name stays."""
        self.calling = what
        yield
        self.calling = ""

    def call(self, what: str, **names: Any) -> Any:
        """Return the value of an expression in the names of the attempt and these; its text is named if it fails."""
        with self.does(f"`{what}`"):
            return eval(what, {**vars(self.module), **names})

    def get(self, name: str) -> Any:
        """Return what the attempt calls by a name, which it must have made itself.

        Raises:
            Stop: If there is none, or it comes from `nnx_state`.
        """
        if not hasattr(self.module, name):
            defined = [other for other, value in vars(self.module).items() if _made_in(value, self.module)]
            raise Stop(Finding("absent", name, seen=_listed(defined, "the file defines"), expected=f"`{name}`"))
        value = getattr(self.module, name)
        if (getattr(value, "__module__", None) or "").partition(".")[0] == "nnx_state":
            seen = f"`{name}` comes from {value.__module__}"
            raise Stop(Finding("borrowed", name, seen, f"`{name}` is written in this file", self.line(name)))
        return value

    def function(self, name: str, *parameters: str) -> Callable[..., Any]:
        """Return a function of the attempt that takes arguments of these names, or any.

        Raises:
            Stop: If there is none.
        """
        value = self.get(name)
        wanted = f"`{name}({', '.join(parameters)})`"
        if not callable(value):
            raise Stop(Finding("not-callable", name, describe(value), wanted, self.line(name)))
        if parameters:
            try:
                inspect.signature(value).bind(*parameters)
            except ValueError:  # a class that is written in C shows no signature
                pass
            except TypeError as error:
                seen = f"`{name}{inspect.signature(value)}`: {error}"
                raise Stop(Finding("arguments", name, seen, wanted, self.line(name))) from None
        return value  # type: ignore[no-any-return]

    def module_class(self, name: str) -> type[nnx.Module]:
        """Return a class of the attempt that is an `nnx.Module`.

        Raises:
            Stop: If there is none.
        """
        value = self.get(name)
        if not (isinstance(value, type) and issubclass(value, nnx.Module)):
            seen = _ancestry(value) if isinstance(value, type) else describe(value)
            raise Stop(Finding("not-module", name, seen, f"`class {name}(nnx.Module)`", self.line(name)))
        return value

    def variable_type(self, name: str) -> type[nnx.Variable[Any]]:
        """Return a class of the attempt that is a Variable, but no Param.

        Raises:
            Stop: If there is none.
        """
        value = self.get(name)
        if not (isinstance(value, type) and issubclass(value, nnx.Variable)) or issubclass(value, nnx.Param):
            seen = _ancestry(value) if isinstance(value, type) else describe(value)
            raise Stop(Finding("not-variable", name, seen, f"`class {name}(nnx.Variable)`", self.line(name)))
        return value

    def line(self, name: str, within: str = "") -> int | None:
        """Return the first line that defines or writes a name or an attribute of that name.

        Args:
            name: such as `MultiParam`, `multi_param_forward` or `count`.
            within: the class or function to look in, anywhere in the file by default.
        """
        return first_line(self.source, name, within)


def role(attempt: Attempt, model: nnx.Module, name: str, wanted: type[nnx.Variable[Any]]) -> Iterator[Finding]:
    """Yield what is wrong with the home of an attribute: what wraps it, not what it holds.

    Where a Variable is wanted, one of an own type will do; Params and NNX's other types will not.

    Args:
        attempt: the file that the model comes from.
        model: a module of the attempt.
        name: the attribute.
        wanted: `nnx.Param`, `nnx.Variable`, or a type of the attempt.
    """
    expected = f"{_article(wanted.__name__)} in `{name}`"
    line = attempt.line(name, type(model).__name__)
    if not hasattr(model, name):
        own = [other for other in vars(model) if not other.startswith("_")]
        yield Finding("missing", name, _listed(own, "the module has"), expected, attempt.line(type(model).__name__))
        return
    value = getattr(model, name)
    kind = home(value)
    special = isinstance(value, (nnx.BatchStat, nnx.Cache, nnx.Intermediate, nnx.RngState))
    if isinstance(value, wanted) and (wanted is not nnx.Variable or not (kind == "param" or special)):
        return
    if kind == "variable" and wanted is not nnx.Param:
        kind = "type"
    yield Finding(kind, name, f"{describe(value)} in `{name}`", expected, line)


def home(value: Any) -> str:
    """Return what holds a value: `param`, `variable` (of any other type), `array`, `number`, `no-call` or `object`."""
    match value:
        case nnx.Param():
            return "param"
        case nnx.Variable():
            return "variable"
        case jax.Array() | np.ndarray():
            return "array"
        case bool() | int() | float() | complex() | np.generic():
            return "number"
        case type() if issubclass(value, nnx.Variable):
            return "no-call"
    return "object"


def content(value: Any) -> Any:
    """Return the array that a Variable holds, or the value itself."""
    return value.get_raw_value() if isinstance(value, nnx.Variable) else value


def put(model: nnx.Module, name: str, value: Any) -> None:
    """Store a value in an attribute: in its Variable if it has one, else in its place."""
    kept = getattr(model, name)
    if isinstance(kept, nnx.Variable):
        kept.set_value(value)
    else:
        setattr(model, name, value)


def describe(value: Any) -> str:
    """Return what a value is, in a few words: `a Param of float32[4, 2]`."""
    match value:
        case nnx.Variable():
            held = value.get_raw_value()
            return f"{_article(type(value).__name__)} of {spec(held)}"
        case jax.Array() | np.ndarray():
            kind = "a NumPy array" if isinstance(value, np.ndarray) else "an array"
            return f"{kind} {spec(value)}"
        case bool() | int() | float() | str() | None:
            return f"the {type(value).__name__} {value!r}" if value is not None else "None"
        case type():
            return f"the class {value.__name__}"
        case tuple() | list() | dict():
            return f"{_article(type(value).__name__)} of {len(value)}"
    return _article(type(value).__name__)


def spec(value: Any) -> str:
    """Return the dtype and shape of an array, such as `float32[4, 2]`, or what else a value is."""
    if isinstance(value, (jax.Array, np.ndarray, jax.ShapeDtypeStruct)):
        return f"{value.dtype}{list(value.shape)}"
    return describe(value)


def numbers(value: Any) -> str:
    """Return an array in short: four significant digits, and the first six numbers of many."""
    flat = np.asarray(value, dtype=np.float64).ravel() if jnp.asarray(value).dtype != jnp.bool else np.asarray(value)
    if np.ndim(value) == 0:
        return f"{flat.item():.4g}"
    shown = ", ".join(f"{number:.4g}" for number in flat[:6].tolist())
    return f"[{shown}, …]" if flat.size > 6 else f"[{shown}]"


def close(seen: Any, expected: Any) -> bool:
    """Tell whether two arrays have one shape and the same numbers within 1e-5, relative or absolute."""
    return np.shape(seen) == np.shape(expected) and bool(np.allclose(seen, expected, rtol=1e-5, atol=1e-5))


def _made_in(value: Any, module: ModuleType) -> bool:
    return getattr(value, "__module__", None) == module.__name__ and hasattr(value, "__name__")


def _listed(names: list[str], before: str) -> str:
    return f"{before} {', '.join(f'`{name}`' for name in names) or 'nothing'}"


def _ancestry(cls: type) -> str:
    base = next((base for base in cls.__mro__[1:] if base.__module__ != cls.__module__), object)
    module = base.__module__.removesuffix(".module").replace("flax.linen", "Flax Linen's").replace("builtins", "")
    return f"`{cls.__name__}` is a plain class" if base is object else f"`{cls.__name__}` is a {module}.{base.__name__}"


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
