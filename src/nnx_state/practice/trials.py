"""What several exercises try with an attempt: a call that may raise an error whose cause is known."""

import contextlib
from collections.abc import Iterator
from typing import Any

from nnx_state.practice.findings import Finding, told
from nnx_state.practice.lines import raising_line
from nnx_state.practice.probe import Attempt, Stop


def tried(attempt: Attempt, what: str, about: str, kinds: dict[str, str], line: int | None = None, **names: Any) -> Any:
    """Return the value of an expression; an error that says one of these texts becomes a finding of its kind.

    Args:
        attempt: the file.
        what: the expression.
        about: the name that the finding is of.
        kinds: the kind for each text; the empty text is in every error.
        line: the line of the finding, by default that of the name.
        **names: what the expression may name beside the attempt's own names.

    Raises:
        Stop: If the expression raises such an error.
    """
    try:
        return attempt.call(what, **names)
    except Exception as error:
        for kind in [kind for text, kind in kinds.items() if text in f"{type(error).__name__}: {error}"]:
            seen = f"`{what}` raised {told(error, 120)}"
            raise Stop(Finding(kind, about, seen, "no error", line or attempt.line(about))) from None
        raise


def refused_in_place(error: Exception) -> bool:
    """Tell whether an error says that a Variable is not written by `+=`, but by `[...] +=`."""
    return isinstance(error, NotImplementedError) and "In-place" in str(error)


@contextlib.contextmanager
def writing(attempt: Attempt) -> Iterator[None]:
    """Say where an attempt changes a Variable in a way that NNX refuses.

    Raises:
        Stop: If it does.
    """
    try:
        yield
    except NotImplementedError as error:
        line = raising_line(attempt.path, error)
        if line is None or not refused_in_place(error):
            raise
        code = attempt.source.split("\n")[line - 1].strip()
        seen = f"`{code}` raised NotImplementedError"
        raise Stop(Finding("in-place", "", seen, "a write into the Variable", line)) from None
