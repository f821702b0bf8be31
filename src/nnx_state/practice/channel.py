"""What two processes tell each other: the one that grades is asked a question, and answers entry by entry.

Each entry begins with a word that is drawn for one run. No module, no file, no environment variable and no argument of
the graded process holds that word or the number of the channel; they stand in the functions that write, and an attempt
has no name for these. What comes without the word is no entry, and a record without its end is no verdict.
"""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from nnx_state.practice.findings import Finding

Note = Callable[..., None]


@dataclass(frozen=True)
class Question:
    """What is graded, and how.

    Attributes:
        module: the folder of the exercise, such as `multi_param`.
        path: where the attempt was read; it is not opened again.
        text: what the attempt says.
        folder: an empty folder for this run.
        limit: for how many seconds the attempt may compute.
        word: what each entry of the answer begins with.
        parent: the number of the process that asks.
    """

    module: str
    path: str
    text: str
    folder: str
    limit: float
    word: str = field(default_factory=lambda: secrets.token_hex(16))
    parent: int = field(default_factory=os.getpid)


def noting(channel: int, word: str) -> Note:
    """Return the function that writes an entry, from its keywords, into the channel.

    A process that the attempt forks has a copy of all this, and would grade a second time: its first entry ends it.
    """
    owner = os.getpid()

    def note(**entry: Any) -> None:
        if os.getpid() != owner:
            os._exit(1)
        line = f"{word}{json.dumps(entry)}\n".encode()
        while line:  # a pipe may take less at a time
            line = line[os.write(channel, line) :]

    return note


@dataclass
class Record:
    """All that was told of one run.

    Attributes:
        findings: what was found, in this order.
        stage: the stage that began last; empty if none began.
        done: the graded process reached its end.
        over: why it was ended at its limit, and how long it had computed and lasted by then; nothing otherwise.
        rest: what came without the word: the stack that is written at the limit.
    """

    findings: list[Finding] = field(default_factory=list)
    stage: str = ""
    done: bool = False
    over: dict[str, Any] = field(default_factory=dict)
    rest: str = ""


def found(finding: Finding) -> dict[str, Any]:
    """Return the entry of a finding."""
    return {"finding": asdict(finding)}


def record(told: bytes, word: str) -> Record:
    """Return what came over the channel.

    Args:
        told: all of it.
        word: the word of this run.
    """
    kept = Record()
    for line in told.decode("utf-8", errors="replace").splitlines(keepends=True):
        before, mark, entry = line.partition(word)
        kept.rest += before
        if not mark:
            continue
        try:
            content = json.loads(entry)
        except ValueError:  # the process ended while it wrote
            continue
        kept.stage = content.get("stage", kept.stage)
        kept.done = content.get("done", kept.done and "over" in content)
        kept.over |= content.get("over", {})
        if "finding" in content:
            kept.findings.append(Finding(**content["finding"]))
    return kept
