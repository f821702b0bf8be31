"""Load what is named on the command line: `package.module:name`, or `file.py:name`."""

import functools
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state._outcome import RefusedError
from nnx_state.audit import saving

HOW = "write `package.module:callable` or `file.py:callable`"
SHAPED = re.compile(r"(\w+)\[([\d, ]*)\]")  # an array, as in `float32[4, 3]`
OTHERS = {"linen": "Flax Linen", "equinox": "Equinox", "torch": "PyTorch"}


def model(target: str) -> nnx.Module:
    """Return the model that a target names or makes.

    Raises:
        RefusedError: If it cannot be loaded or made, or is no NNX module; the message says why.
    """
    found = _value(target)
    if not isinstance(found, nnx.Module):
        raise RefusedError(
            f"{target} is {_described(found)}: the audit reads an nnx.Module, or a callable that makes one."
        )
    return found


def inputs(target: str) -> tuple[Any, ...] | dict[str, Any]:
    """Return the arguments that a target names or makes, or whose shapes it says, such as `float32[4, 3] int32[4]`.

    Returns:
        A tuple, or a dict of keywords; of shapes, arrays without numbers.

    Raises:
        RefusedError: If it cannot be loaded or made; the message says why.
    """
    if SHAPED.search(target) and not SHAPED.sub("", target).strip(" ,"):
        return tuple(_shaped(target, *said) for said in SHAPED.findall(target))
    found = _value(target)
    return found if isinstance(found, tuple | dict) else (found,)


def optimizer(target: str) -> Any:
    """Return the optimizer that a target names or makes, or its function that takes the model.

    Raises:
        RefusedError: If it cannot be loaded or made, or holds a model that it made itself; the message says why.
    """
    found = _loaded(target)
    if isinstance(found, nnx.Optimizer) or not callable(found) or saving.count_arguments(found):
        return found
    made = _made(target, found)
    if hasattr(made, "model"):
        raise RefusedError(f"{target} makes an optimizer of a model of its own: name a function that takes the model.")
    return made


def plain(target: str) -> Any:
    """Return what a target names as it is: a filter, a function, or the word `orbax`.

    Raises:
        RefusedError: If it cannot be loaded; the message says why.
    """
    return target if target == saving.ORBAX else _loaded(target)


def _value(target: str) -> Any:
    """Return what a target names, or what that makes: a module can be called too, and is what it is."""
    found = _loaded(target)
    return _made(target, found) if callable(found) and not isinstance(found, nnx.Module) else found


def _loaded(target: str) -> Any:
    """Return the object that a target names."""
    place, colon, name = target.rpartition(":")
    if not (colon and place and name):
        raise RefusedError(f"{target} names no object: {HOW}.")
    module = _module(place, target)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise RefusedError(f"{place} has no {name}: {HOW}.")
        found = getattr(found, part)
    return found


def _shaped(target: str, dtype: str, shape: str) -> Any:
    without_numbers: Any = jax.ShapeDtypeStruct  # it has no types
    try:
        return without_numbers([int(size) for size in re.findall(r"\d+", shape)], jnp.dtype(dtype))
    except TypeError:
        raise RefusedError(f"{target}: there is no dtype {dtype}; write a shape as in `float32[4, 3]`.") from None


def _made(target: str, maker: Any) -> Any:
    """Return what a callable makes without arguments."""
    try:
        return maker()
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {error}."
        hint = " Name a function that needs no arguments." if isinstance(error, TypeError) else ""
        raise RefusedError(f"{target} could not be called: {said}{hint}") from error


def _module(place: str, target: str) -> ModuleType:
    search(Path.cwd())  # as `python -m` does
    try:
        return from_file(_found(place)) if place.endswith(".py") else importlib.import_module(place)
    except (Exception, SystemExit) as error:
        hint = " A file of a package is named `package.module:callable`." if "relative import" in str(error) else ""
        raise RefusedError(f"{target} could not be imported: {type(error).__name__}: {error}.{hint}") from error


def search(folder: Path) -> None:
    """Let modules and files be found in a folder."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _found(place: str) -> Path:
    """Return a file that is named from here, or else from where modules are found."""
    places = [Path(folder, place) for folder in ("", *sys.path)]
    return next((file for file in places if file.is_file()), places[0]).resolve()


@functools.cache  # a file that is named twice in one audit is one module: its classes are the same
def from_file(file: Path) -> ModuleType:
    """Return the module that a file makes."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, module)  # what looks for the source of a class asks here
    sys.path.insert(0, str(file.parent))  # as `python file.py` does
    spec.loader.exec_module(module)
    return module


def _described(found: Any) -> str:
    """Say what an object is, and name the library of a model that is none of NNX."""
    for base in type(found).__mro__:
        for part, library in OTHERS.items():
            if part in base.__module__.split("."):
                return f"a model of {library}"
    return f"an object of {type(found).__name__}"
