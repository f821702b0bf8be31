"""What `nnx-state explain` does: read what was pasted, and tell its entry."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from nnx_state import _addresses, _pages
from nnx_state._outcome import DONE, NOT_YET, Outcome, RefusedError
from nnx_state.answers.matcher import CAUSES, Answer, Found, answer
from nnx_state.answers.texts import LONGEST

CHUNK = 65_536  # bytes that are passed through at a time
KEPT = 4 * LONGEST  # bytes of the beginning that are kept, and of the end: a character has four at most


def explain(what: list[str], through: BinaryIO) -> Outcome:
    """Tell what a text, a file or what comes through a pipe is.

    Args:
        what: a text in one or more words, or one file; where it is empty, standard input is read.
        through: where what comes through a pipe is written as it comes.

    Raises:
        RefusedError: If nothing was given, and a terminal is where more would come from.
    """
    return told(answer(_read(what, through)))


def told(given: Answer) -> Outcome:
    """Return an answer as it is shown in a terminal, and as data."""
    data = given.data()
    for kind in ("found", "also", "guesses"):
        for shown, place in zip(data[kind], getattr(given, kind), strict=True):
            shown["address"] = _addresses.address(place.place, _addresses.site())
    text = "\n".join(_known(given) if given.is_known else _unknown(given))
    return Outcome(text, data, DONE if given.is_known else NOT_YET)


def _read(what: list[str], through: BinaryIO) -> str:
    if len(what) == 1 and os.path.isfile(what[0]):  # noqa: PTH113 - it answers False where a name is too long for a path
        return Path(what[0]).read_bytes().decode("utf-8", "replace")
    if what and what != ["-"]:
        return " ".join(what)
    if sys.stdin is None or sys.stdin.isatty():
        raise RefusedError(
            "Nothing was given: write `python train.py 2>&1 | nnx-state explain`, or a file or a text behind explain."
        )
    return _passed(sys.stdin.buffer, through).decode("utf-8", "replace")


def _passed(source: BinaryIO, through: BinaryIO) -> bytes:
    """Write what comes as it comes, and return it: of a lot, the beginning and the end.

    Ctrl-C ends the program at the other end of the pipe, and is what asks for the answer here.
    """
    first, last = bytearray(), bytearray()
    try:
        for chunk in _chunks(source):
            through.write(chunk)
            through.flush()
            room = max(0, KEPT - len(first))
            first += chunk[:room]
            last += chunk[room:]
            del last[: -2 * KEPT]
    except KeyboardInterrupt:
        pass
    return bytes(first + last)


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    read = getattr(source, "read1", source.read)  # read1 returns what is there, and waits for no more
    while chunk := read(CHUNK):
        yield chunk


def _known(given: Answer) -> Iterator[str]:
    if given.verdict == CAUSES:
        yield f"**{given.shown}**\n\nThis text has several causes. {given.question or 'Which of these is yours?'}\n"
    for place in given.found:
        yield _section(place)
        yield f"\nRead on: {_addresses.reached(place.place)}\n"
    yield from _named("There is more in what you pasted:", given.also)


def _unknown(given: Answer) -> Iterator[str]:
    if given.shown:
        yield f"Not known here: {given.shown}\n"
    else:
        yield "Nothing was found in it that this site knows.\n"
    yield from _named("A guess, and no answer, is what is nearest:", given.guesses)
    yield from _named("What else it shows is known:", given.also)
    if not (given.guesses or given.also):
        yield f"All entries: {_addresses.reached('pitfalls/index.md#all-entries')}"


def _section(place: Found) -> str:
    """Return the entry, or a cause of it, as a terminal shows it: the program that raises is left to the page."""
    return _pages.page(f"pitfalls/{place.page}#{place.anchor}").strip()


def _named(heading: str, places: tuple[Found, ...]) -> Iterator[str]:
    if places:
        yield f"{heading}\n"
        yield "\n".join(f"- {place.title}: {_addresses.reached(place.place)}" for place in places) + "\n"
