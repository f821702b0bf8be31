"""A learner's file while it is graded: its names, its lines, what was tried with it and what was found so far."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from flax import nnx

from nnx_state.practice import habits, origins
from nnx_state.practice.findings import Finding
from nnx_state.practice.lines import changing_line, first_line, making_line, raising_line
from nnx_state.practice.values import describe, listed


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
        exercise: the folder of the exercise that it is an attempt at, such as `multi_param`.
        answers: what the lesson of the exercise defines, as `origins` knows it.
        code: what it was compiled to, once it has run.
        calling: what is being tried, for the message if it fails.
        found: what each stage has found so far, by its function without decorators.
        skipped: the stages that did not run, since what they need was not sound; without decorators, too.
    """

    path: Path
    source: str
    module: ModuleType
    exercise: str
    answers: Mapping[int, str]
    code: CodeType | None = None
    calling: str = ""
    found: dict["Stage", list[Finding]] = field(default_factory=dict)
    skipped: set["Stage"] = field(default_factory=set)
    _failure: tuple[str, BaseException] | None = None

    def run(self, stage: "Stage") -> Iterator[Finding]:
        """Yield what a stage of the checks finds, and keep it for the stages after it."""
        found = self.found[inspect.unwrap(stage)] = []
        for finding in stage(self):
            found.append(finding)
            yield finding

    def sound(self, *stages: "Stage") -> bool:
        """Tell whether all of these stages have run and none has found anything."""
        undecorated = map(inspect.unwrap, stages)
        return not any(self.found.get(stage) or stage in self.skipped for stage in undecorated)

    @contextlib.contextmanager
    def does(self, what: str) -> Iterator[None]:
        """Name what is being tried, such as `model(x)`, while it is tried; where it fails, the name stays.

        Raises:
            Stop: If it fails by a habit from another library.
        """
        self.calling = what
        try:
            yield
        except BaseException as error:
            self._failure = what, error
            self.stop_at_habit(error)
            raise
        self.calling = ""

    def failed(self, error: BaseException) -> str:
        """Return what was being tried with the attempt when an error arose; nothing if it was the checks' own.

        Args:
            error: what was raised.
        """
        return self._failure[0] if self._failure and self._failure[1] is error else ""

    def stop_at_habit(self, error: BaseException) -> None:
        """End the checks if a line of the attempt has raised an error by a habit from another library.

        Raises:
            Stop: If one has.
        """
        line = raising_line(self.path, error)
        if line and (habit := habits.in_error(error, line)):
            raise Stop(habit) from None

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
            defined = [f"`{other}`" for other in vars(self.module) if first_line(self.source, other)]
            raise Stop(Finding("absent", name, seen=f"the file defines {listed(defined)}", expected=f"`{name}`"))
        value = getattr(self.module, name)
        if seen := origins.borrowed(value, self.module, self.code, self.exercise, self.answers):
            expected = f"`{name}` is written in this file"
            raise Stop(Finding("borrowed", name, f"`{name}` {seen}", expected, self.line(name)))
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

    def module_class(self, name: str, *parameters: str) -> type[nnx.Module]:
        """Return a class of the attempt that is an `nnx.Module`, and is made from arguments of these names.

        Raises:
            Stop: If there is none.
        """
        value = self.get(name)
        if not (isinstance(value, type) and issubclass(value, nnx.Module)):
            seen = _ancestry(value) if isinstance(value, type) else describe(value)
            raise Stop(Finding("not-module", name, seen, f"`class {name}(nnx.Module)`", self.line(name)))
        signature = inspect.signature(value.__init__)  # that of the class is its metaclass's, which takes anything
        if habit := habits.in_class(value, parameters, signature.parameters):
            raise Stop(replace(habit, line=self.line(habit.about, name) or self.line("__init__", name)))
        if parameters and value.__init__ is object.__init__:
            seen, wanted = f"`{name}` has no `__init__`", f"`{name}({', '.join(parameters)})`"
            raise Stop(Finding("no-init", name, seen, wanted, self.line(name)))
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

    def own_variable_type(self, name: str) -> type[nnx.Variable[Any]]:
        """Return a class of the attempt that is a Variable, but neither a Param nor another class of NNX itself.

        Raises:
            Stop: If there is none.
        """
        value = self.variable_type(name)
        if origins.is_of_nnx(value):
            seen = f"it is nnx.{value.__name__}"
            raise Stop(Finding("not-own", name, seen, "a class of its own", self.line(name)))
        return value

    def line(self, name: str, within: str = "") -> int | None:
        """Return the line that defines or writes a name: the first one, or where `__init__` sets an attribute last.

        Args:
            name: such as `MultiParam`, `multi_param_forward` or `count`.
            within: the class or function to look in, anywhere in the file by default. What a class of the file does not
                write itself may come from a base, and is looked for everywhere.
        """
        found = making_line(self.source, name, within) if within else None
        found = found or first_line(self.source, name, within)
        if found or not isinstance(getattr(self.module, within, None), type):
            return found
        return first_line(self.source, name)

    def changing_line(self, name: str, replaces: bool = False) -> int | None:
        """Return the line of a call that writes an attribute, or that of `__call__` if none is found.

        Args:
            name: the attribute.
            replaces: whether another object is put into it, and not a number into its Variable.
        """
        return changing_line(self.source, name, replaces) or self.line("__call__")


Stage = Callable[[Attempt], Iterator[Finding]]


def _ancestry(cls: type) -> str:
    foreign = (base for base in cls.__mro__[1:] if origins.is_of_nnx(base) or base.__module__ != cls.__module__)
    base = next(foreign, object)
    home = base.__module__.removesuffix(".module").replace("flax.linen", "Flax Linen's")
    module = "nnx" if origins.is_of_nnx(base) else home
    return f"`{cls.__name__}` is a plain class" if base is object else f"`{cls.__name__}` is a {module}.{base.__name__}"
