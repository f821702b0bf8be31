"""What a claim is, how one is registered, and how it says what happened instead."""

import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

SEED = "the classic lesson"  # the one that this project grew from
OURS = "ours"
# One module for each topic, in the order of the page.
TOPICS: tuple[str, ...] = (
    "classic",
    "classic_pitfalls",
    "gradients",
    "optimizers",
    "steps",
    "tagged",
    "freezing",
    "filters",
    "aliasing",
    "plain_arrays",
    "traced_arrays",
    "containers",
    "pytrees",
    "mutation",
    "replacing",
    "reading",
    "as_array",
    "jax_transforms",
    "transforms",
    "mapping",
    "variable_types",
    "intermediates",
    "layer_state",
    "randomness",
    "dropout",
    "seeds",
    "checkpoints",
    "updates",
    "metadata",
    "renames",
)

HOLDS, DIFFERS, NOT_APPLICABLE, CRASHED = "holds", "differs", "not applicable", "crashed"


class Differs(Exception):  # noqa: N818 - it is a verdict and no error
    """The statement is false; the message says what happened instead."""


class NotApplicable(Exception):  # noqa: N818 - it is a verdict and no error
    """The statement speaks of something that this release does not have; the message names it."""


@dataclass(frozen=True)
class Claim:
    """One statement about NNX state.

    Attributes:
        name: its id, such as `grad-takes-params-alone`.
        topic: the module that it stands in, such as `gradients`.
        statement: one sentence in plain words, in Markdown.
        lesson: the page, and perhaps heading, that teaches it, such as `lessons/training.md#see`.
        source: who teaches it: `SEED`, `OURS`, or the name of a guide or an issue.
        check: the function that returns where the statement holds, and raises `Differs` or `NotApplicable`.
        lines: the first and the last line of the check in its file.
    """

    name: str
    topic: str
    statement: str
    lesson: str
    source: str
    check: Callable[[], None]
    lines: tuple[int, int]


@dataclass(frozen=True)
class Verdict:
    """What a run says of a claim.

    Attributes:
        verdict: `holds`, `differs`, `not applicable` or `crashed`.
        said: what happened instead, what does not exist, or how the interpreter ended; empty where it holds.
    """

    verdict: str
    said: str = ""


_CLAIMS: dict[str, Claim] = {}


def claim(
    name: str, statement: str, lesson: str, source: str = OURS
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function as the check of a claim; the arguments are those of `Claim`.

    Raises:
        ValueError: If two claims have one name.
    """

    def register(check: Callable[[], None]) -> Callable[[], None]:
        if name in _CLAIMS:
            raise ValueError(f"Two claims are named {name!r}: give one another name.")
        lines, first = inspect.getsourcelines(check)
        topic = check.__module__.rpartition(".")[2]
        _CLAIMS[name] = Claim(name, topic, statement, lesson, source, check, (first, first + len(lines) - 1))
        return check

    return register


def claims() -> dict[str, Claim]:
    """Import every topic, and return all claims by name, in the order of the topics."""
    for topic in TOPICS:
        importlib.import_module(f"nnx_state.claims.{topic}")
    return _CLAIMS


def judge(check: Callable[[], None]) -> Verdict:
    """Run the check of a claim and return its verdict; any other exception is something that happened instead."""
    try:
        check()
    except NotApplicable as reason:
        return Verdict(NOT_APPLICABLE, str(reason))
    except Differs as seen:
        return Verdict(DIFFERS, str(seen))
    except Exception as error:
        return Verdict(DIFFERS, f"{type(error).__name__}: {first_line(error)}")
    return Verdict(HOLDS)


def expect(seen: Any, wanted: Any) -> None:
    """Go on where two values are equal.

    Raises:
        Differs: If they are not; it says what was seen.
    """
    if not (seen == wanted):
        raise Differs(f"{seen}, not {wanted}")


def differs(said: str) -> NoReturn:
    """Say what happened instead."""
    raise Differs(said)


def raises(function: Callable[[], Any], kind: type[Exception], text: str = "") -> None:
    """Go on where a function raises an exception of a kind whose message holds a text.

    Raises:
        Differs: If it returns, or raises something else.
    """
    try:
        value = function()
    except kind as error:
        if text not in str(error):
            raise Differs(f"{type(error).__name__}: {first_line(error)}") from None
    except Exception as error:
        raise Differs(f"{type(error).__name__}: {first_line(error)}") from None
    else:
        raise Differs(f"nothing is raised, the result is a {type(value).__name__}")


def need(module: Any, *names: str) -> None:
    """Go on where a module or class has all of these names.

    Raises:
        NotApplicable: If it lacks one.
    """
    for name in names:
        if not hasattr(module, name):
            short = getattr(module, "__name__", str(module)).replace("flax.nnx", "nnx")
            raise NotApplicable(f"there is no {short}.{name}")


def first_line(error: BaseException) -> str:
    """Return the first line of a message without addresses in memory, at most 160 characters of it."""
    line = re.sub(r" at 0x[0-9a-f]+", "", next(iter(str(error).strip().splitlines()), ""))
    return line if len(line) <= 160 else f"{line[:159]}…"


def source_files() -> list[Path]:
    """Return the files on which the verdicts depend: the topics, and what they are written with."""
    folder = Path(__file__).parent
    return [folder / f"{name}.py" for name in ("registry", "compat", *TOPICS)]
