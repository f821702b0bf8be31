"""What a verb of the command line gives back: what to say, the same as data, and an exit code."""

from dataclasses import dataclass, field
from typing import Any

DONE, NOT_YET, COULD_NOT_RUN = 0, 1, 2  # exit codes


class RefusedError(Exception):
    """What was asked for cannot be done; the message says why, and what to do."""


@dataclass(frozen=True)
class Outcome:
    """What a verb has done.

    Attributes:
        text: what to tell the user, in Markdown.
        data: the same for programs.
        code: the exit code.
    """

    text: str
    data: dict[str, Any] = field(default_factory=dict)
    code: int = DONE


def said(error: Exception) -> str:
    """Return the type and the first line of an error, for a message."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
