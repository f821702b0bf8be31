"""The verb of `nnx-state claims`: run claims on the Flax that is installed, and compare with what is published."""

import importlib.metadata
import platform
from collections import Counter
from collections.abc import Iterator
from typing import Any

from nnx_state._outcome import DONE, NOT_YET, Outcome, RefusedError
from nnx_state.claims import published, retired
from nnx_state.claims.registry import TOPICS, Verdict, claims
from nnx_state.claims.running import run


def check(names: list[str], topic: str = "", jobs: int = 1, every: bool = False) -> Iterator[Outcome]:
    """Run claims, and yield those that are not as published; the last outcome says what they were compared with.

    Args:
        names: the claims; those of the topic, or all, if there is none.
        topic: the topic; every topic by default.
        jobs: how many claims run at a time.
        every: yield those that are as published, too.

    Raises:
        RefusedError: If a claim or the topic is unknown.
    """
    known = claims()
    asked = [retired.RETIRED.get(name, name) for name in names]
    if unknown := [name for name in asked if name not in known]:
        raise RefusedError(f"No claim is named {unknown[0]!r}: the pages of the claims list their names.")
    if topic and topic not in TOPICS:
        raise RefusedError(f"No topic is named {topic!r}: choose one of {', '.join(TOPICS)}.")
    chosen = asked or [name for name, claim in known.items() if topic in ("", claim.topic)]
    flax, python = importlib.metadata.version("flax"), platform.python_version()
    name, there, where = _published(flax, python)
    counts: Counter[str] = Counter()
    differences = []
    for claim, verdict in run(chosen, jobs):
        counts[verdict.verdict] += 1
        lines = published.compare({claim: verdict}, there, [claim])
        differences += lines
        if lines or every:
            cell = {"claim": claim, "verdict": verdict.verdict, "said": verdict.said, "differs": bool(lines)}
            said = f": {verdict.said}" if verdict.said else ""
            yield Outcome(f"- {lines[0]}" if lines else f"- `{claim}` {verdict.verdict}{said}", cell)
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    result = f"{len(differences)} differ from" if differences else "all as"
    text = f"Flax {flax} on Python {python}: {told}; {result} those published for {where}."
    if name != flax:
        text = f"Nothing is published for Flax {flax}: the nearest release is {name}.\n\n{text}"
    data: dict[str, Any] = {"flax": flax, "python": python, "published": where, "counts": dict(counts)}
    yield Outcome(text, data | {"differences": differences}, NOT_YET if differences else DONE)


def _published(flax: str, python: str) -> tuple[str, dict[str, Verdict], str]:
    """Return the nearest published release, its verdicts on this or the nearest Python, and both in words."""
    _, columns = published.load()
    name = published.nearest(flax, columns)
    column = columns[name]
    minor = ".".join(python.split(".")[:2])
    if minor in column.elsewhere:
        return name, column.verdicts | column.elsewhere[minor], f"Flax {name} on Python {minor}"
    return name, column.verdicts, f"Flax {name} on Python {column.python}"
