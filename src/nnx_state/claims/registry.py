"""What a claim is, how one is registered, and how it says what happened instead."""

import importlib
import inspect
import re
import warnings
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
    "optax_masks",
    "steps",
    "tagged",
    "freezing",
    "filters",
    "aliasing",
    "merging",
    "plain_arrays",
    "static_values",
    "traced_arrays",
    "containers",
    "pytrees",
    "mutation",
    "replacing",
    "reading",
    "as_array",
    "jax_transforms",
    "references",
    "transforms",
    "modes",
    "donation",
    "loops",
    "mapping",
    "variable_types",
    "intermediates",
    "metrics",
    "layer_state",
    "norms",
    "sequences",
    "randomness",
    "dropout",
    "streams",
    "seeds",
    "checkpoints",
    "other_files",
    "updates",
    "metadata",
    "renames",
)

# The texts by which tree mode refuses what graph mode takes: they refute any claim whose check meets them.
TREE_MODE_REFUSES = (
    "`DiffState` objects when `graph=False`",
    "`StateAxes` objects when `graph=False`",
    "found at paths:",  # a Variable that has two names
    "with graph=False on a",
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
        instead: texts of exceptions that refute the statement, wherever the check meets them.
        check: the function that returns where the statement holds, and raises `Differs` or `NotApplicable`.
        lines: the first and the last line of the check in its file.
    """

    name: str
    topic: str
    statement: str
    lesson: str
    source: str
    instead: tuple[str, ...]
    check: Callable[[], None]
    lines: tuple[int, int]

    def run(self) -> None:
        """Run the check, if this release has every name of NNX that stands in the statement.

        Raises:
            Differs: If the statement is false, or the check met an exception that refutes it.
            NotApplicable: If a name is missing.
        """
        for name in named(self.statement):
            need_name(name)
        try:
            self.check()
        except Exception as error:
            if any(text in str(error) for text in (*self.instead, *TREE_MODE_REFUSES)):
                raise Differs(told(error)) from None
            raise


@dataclass(frozen=True)
class Verdict:
    """What a run says of a claim.

    Attributes:
        verdict: `holds`, `differs`, `not applicable` or `crashed`.
        said: what happened instead, what does not exist, or how the check broke off; empty where it holds.
    """

    verdict: str
    said: str = ""


_CLAIMS: dict[str, Claim] = {}


def claim(
    name: str, statement: str, lesson: str, source: str = OURS, instead: str | tuple[str, ...] = ()
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function as the check of a claim; the arguments are those of `Claim`.

    Raises:
        ValueError: If two claims have one name.
    """
    refuting = (instead,) if isinstance(instead, str) else instead

    def register(check: Callable[[], None]) -> Callable[[], None]:
        if name in _CLAIMS:
            raise ValueError(f"Two claims are named {name!r}: give one another name.")
        lines, first = inspect.getsourcelines(check)
        topic = check.__module__.rpartition(".")[2]
        place = (first, first + len(lines) - 1)
        _CLAIMS[name] = Claim(name, topic, statement, lesson, source, refuting, check, place)
        return check

    return register


def claims() -> dict[str, Claim]:
    """Import every topic, and return all claims by name, in the order of the topics."""
    for topic in TOPICS:
        importlib.import_module(f"nnx_state.claims.{topic}")
    # a topic may have been imported before those that come first
    return dict(sorted(_CLAIMS.items(), key=lambda item: TOPICS.index(item[1].topic)))


def judge(check: Callable[[], None]) -> Verdict:
    """Run the check of a claim and return its verdict.

    Only an exception that the check expects says something of the statement; any other is a fault of the check.
    """
    try:
        check()
    except NotApplicable as reason:
        return Verdict(NOT_APPLICABLE, str(reason))
    except Differs as seen:
        return Verdict(DIFFERS, str(seen))
    except Exception as error:
        return Verdict(CRASHED, told(error))
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


def works(call: Callable[[], Any]) -> Any:
    """Return what a call returns: the statement says that it does.

    Raises:
        Differs: If it raises an exception.
    """
    try:
        return call()
    except (Differs, NotApplicable):
        raise
    except Exception as error:
        raise Differs(told(error)) from None


def raises(
    call: Callable[[], Any],
    kind: type[Exception] | tuple[type[Exception], ...] | str,
    text: str | tuple[str, ...] = "",
) -> None:
    """Go on where a call raises an exception of a kind whose message holds a text.

    Args:
        call: the function.
        kind: the class, or those of different releases; its name where it has moved between modules.
        text: the text, or those of different releases, of which one is enough.

    Raises:
        Differs: If it returns, or raises something else.
    """
    texts = (text,) if isinstance(text, str) else text
    try:
        value = call()
    except (Differs, NotApplicable):
        raise
    except Exception as error:
        of_kind = type(error).__name__ == kind if isinstance(kind, str) else isinstance(error, kind)
        if not (of_kind and any(each in str(error) for each in texts)):
            raise Differs(told(error)) from None
    else:
        raise Differs(f"nothing is raised, the result is a {type(value).__name__}")


def warned(call: Callable[[], Any]) -> list[str]:
    """Return the warnings that a call gives, each as its class and its message."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [told(warning.message) for warning in caught if isinstance(warning.message, Warning)]


def warns(call: Callable[[], Any], kind: type[Warning], text: str) -> None:
    """Go on where a call gives a warning of a class whose message holds a text.

    Raises:
        Differs: If it gives none, or others.
    """
    found = warned(call)
    if not any(one.startswith(kind.__name__) and text in one for one in found):
        raise Differs(f"the warning is another, {found[0]}" if found else "there is no warning")


def need(module: Any, *names: str) -> None:
    """Go on where a module or class has all of these names.

    Raises:
        NotApplicable: If it lacks one.
    """
    for name in names:
        with warnings.catch_warnings():  # a name may be deprecated
            warnings.simplefilter("ignore")
            found = hasattr(module, name)
        if not found:
            short = getattr(module, "__name__", str(module)).replace("flax.nnx", "nnx")
            raise NotApplicable(f"there is no {short}.{name}")


def named(statement: str) -> list[str]:
    """Return the names of NNX that stand in the code of a statement, such as `nnx.State` and `nnx.List.append`."""
    codes = re.findall(r"`([^`]+)`", statement)
    return list(dict.fromkeys(name for code in codes for name in re.findall(r"\bnnx(?:\.[A-Za-z_]\w*)+", code)))


def need_name(name: str) -> None:
    """Go on where this release has a name of NNX, such as `nnx.List.append`.

    Raises:
        NotApplicable: If it lacks it.
    """
    module: Any = importlib.import_module("flax.nnx")
    for part in name.split(".")[1:]:
        need(module, part)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = getattr(module, part)


def need_keyword(function: Callable[..., Any], keyword: str) -> None:
    """Go on where a function has this keyword of its own, and does not take it for something else.

    Raises:
        NotApplicable: If it has not.
    """
    if keyword not in inspect.signature(function).parameters:
        raise NotApplicable(f"nnx.{function.__qualname__} takes no {keyword}=")


def told(error: BaseException) -> str:
    """Return the class of an exception or of a warning, and the first line of its message."""
    return f"{type(error).__name__}: {first_line(error)}"


def first_line(error: BaseException) -> str:
    """Return the first line of a message without addresses in memory and values, at most 160 characters of it."""
    line = re.sub(r" at (0x[0-9a-f]+|/\S+)|; value: .*", "", next(iter(str(error).strip().splitlines()), ""))
    return line if len(line) <= 160 else f"{line[:159]}…"


def source_files() -> list[Path]:
    """Return the files on which the verdicts depend: the topics, and what they are written with."""
    folder = Path(__file__).parent
    return [folder / f"{name}.py" for name in ("registry", "compat", *TOPICS)]
