"""One line below an uncaught exception that the site knows: the address of its entry."""

import sys
import threading
from types import TracebackType

from nnx_state import _addresses


def install() -> None:
    """Let uncaught exceptions that the site knows end with the address of their entry.

    An address is added as a note, and the hooks that were there before print the exception as they always have.
    Nothing else is touched. To install it twice is to install it once.
    """
    if not isinstance(sys.excepthook, _Hook):
        sys.excepthook = _Hook(sys.excepthook)
    if not isinstance(threading.excepthook, _ThreadHook):
        threading.excepthook = _ThreadHook(threading.excepthook)


class _Hook:
    """Adds the note, and calls the hook that was there before."""

    def __init__(self, before: object) -> None:
        self.before = before

    def __call__(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        _add_address(error)
        self.before(kind, error, traceback)  # type: ignore[operator]


class _ThreadHook:
    """Does the same for an exception that ends a thread."""

    def __init__(self, before: object) -> None:
        self.before = before

    def __call__(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            _add_address(arguments.exc_value)
        self.before(arguments)  # type: ignore[operator]


def _add_address(error: BaseException) -> None:
    """Add the address as a note; an error in here must not hide the one that ends the program."""
    try:
        import traceback

        from nnx_state.answers.matcher import answer

        found = answer("".join(traceback.format_exception(error)))
        if found.is_known:
            error.add_note(f"Explained at {_addresses.reached(found.found[0].place).strip('`')}")
    except Exception:
        pass
