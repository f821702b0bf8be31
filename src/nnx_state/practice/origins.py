"""Whether what an attempt calls by a name is that of this package, told by the identity of objects and of their code.

A value is followed as far as the attempt made it: base classes, methods, what a function wraps, holds and names. What
modules are called tells nothing: a class that `type` makes is of the module that calls it, and anyone may set the name.
"""

import dis
import functools
import importlib
import inspect
import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from flax import nnx

PACKAGE = "nnx_state"
FOLDER = Path(__file__).parents[1]


def is_of_nnx(kind: type) -> bool:
    """Tell whether NNX itself exports a class."""
    return any(kind is other for other in vars(nnx).values())


def answers(exercise: str) -> dict[int, str]:
    """Return what the lesson of an exercise defines, methods included, by its identity, each with its module.

    It is asked for before an attempt runs, which could give these objects another name.

    Args:
        exercise: the folder of the exercise, such as `multi_param`.
    """
    home = f"{PACKAGE}.{exercise}"
    defined = _defined(importlib.import_module(home))
    parts = [part for one in defined if isinstance(one, type) for part in vars(one).values()]
    # Python gives all dataclasses some of its own functions: those are nobody's answer
    methods = [part for part in parts if inspect.isfunction(part) and part.__module__ == home]
    return {id(one): home for one in [*defined, *methods]}


def borrowed(value: Any, attempt: ModuleType, code: CodeType | None, exercise: str, known: Mapping[int, str]) -> str:
    """Return how a value comes from this package, in a few words; nothing if it is the attempt's own.

    Args:
        value: what the attempt calls by a name that the problem asks for.
        attempt: the module of the attempt.
        code: what the attempt was compiled to.
        exercise: the folder of the exercise, such as `multi_param`.
        known: its answers.
    """
    loaded = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == PACKAGE]
    homes = {id(one): module.__name__ for module in loaded for one in _defined(module)}
    if home := homes.get(id(value)) or known.get(id(value)):
        return f"comes from {home}"
    written = set(_codes(code)) if code else set()
    for part in _parts(value, attempt):
        if home := known.get(id(part)):
            return f"is made of what comes from {home}"
        is_foreign = isinstance(part, FunctionType) and part.__code__ not in written
        if is_foreign and not _of_a_library(part, attempt) and _meaning(part.__code__) in _known(exercise):
            return f"runs code of {PACKAGE}, which is not written there"
    return ""


def _defined(module: ModuleType) -> list[Any]:
    """Return the classes and functions that a module defines."""
    values = list(vars(module).values())
    return [value for value in values if callable(value) and getattr(value, "__module__", None) == module.__name__]


def _parts(value: Any, attempt: ModuleType) -> Iterator[Any]:
    """Yield a value and what it is made of."""
    seen: dict[int, Any] = {}
    waiting = [value]
    for part in waiting:  # it grows while it is read
        if id(part) not in seen:
            seen[id(part)] = part  # kept, so that no other object gets its identity
            yield part
            waiting += _made_of(part, attempt)


def _made_of(part: Any, attempt: ModuleType) -> Iterator[Any]:
    """Yield what a class, a function or a wrapper directly consists of."""
    match part:
        case type():
            yield from part.__mro__[1:]
            yield from vars(part).values()
        case staticmethod() | classmethod() | MethodType():
            yield part.__func__
        case property():
            yield from (part.fget, part.fset)
        case functools.partial():
            yield part.func
        case FunctionType():
            yield from _held(part)
            if not _of_a_library(part, attempt):
                yield from _named(part)
    if not isinstance(part, type) and (wrapped := getattr(part, "__wrapped__", None)) is not None:
        yield wrapped


def _held(function: FunctionType) -> Iterator[Any]:
    """Yield what the closure of a function holds."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # nothing was stored in it yet
            continue


def _named(function: FunctionType) -> Iterator[Any]:
    """Yield what a function names: globals, and what it takes from modules of this package."""
    space = function.__globals__
    for code in _codes(function.__code__):
        yield from (space[name] for name in code.co_names if name in space)
        for first, second in itertools.pairwise(dis.get_instructions(code)):
            of = sys.modules.get(first.argval) if first.opname == "IMPORT_NAME" else _global(first, space)
            if isinstance(of, ModuleType) and of.__name__.partition(".")[0] == PACKAGE and second.argval:
                yield getattr(of, str(second.argval), None)


def _global(instruction: dis.Instruction, space: dict[str, Any]) -> Any:
    return space.get(instruction.argval) if instruction.opname == "LOAD_GLOBAL" else None


def _of_a_library(function: FunctionType, attempt: ModuleType) -> bool:
    """Tell whether a function stands in a module that was imported, other than the attempt and this package."""
    home = sys.modules.get(function.__globals__.get("__name__", ""))
    if home is None or home is attempt or home.__name__.partition(".")[0] == PACKAGE:
        return False
    return vars(home) is function.__globals__


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and all those inside it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _meaning(code: CodeType) -> tuple[Any, ...]:
    """Return what a code object does, without the file and the line that it was read from."""
    constants = tuple(_meaning(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, constants


@functools.cache
def _known(exercise: str) -> frozenset[tuple[Any, ...]]:
    """Return the meanings of all functions in the lesson and in the solution of an exercise."""
    files = [FOLDER / f"{exercise}.py", FOLDER / "practice" / exercise / "solution.py"]
    modules = [compile(file.read_text("utf-8"), str(file), "exec", dont_inherit=True) for file in files]
    return frozenset(_meaning(code) for module in modules for code in _codes(module) if code is not module)
