"""The verb of `nnx-state claims`: run claims on the Flax that is installed, and compare with what is published."""

import importlib.metadata
import platform
from collections import Counter
from collections.abc import Iterator
from typing import Any

from nnx_state._outcome import COULD_NOT_RUN, DONE, NOT_YET, Outcome, RefusedError
from nnx_state.claims import published
from nnx_state.claims.registry import TOPICS, claims
from nnx_state.claims.running import run


def check(names: list[str], topic: str = "", jobs: int = 1) -> Iterator[Outcome]:
    """Run claims, and yield each verdict; the last outcome says where they differ from the published ones.

    Args:
        names: the claims; those of the topic, or all, if there is none.
        topic: the topic; every topic by default.
        jobs: how many claims run at a time.

    Raises:
        RefusedError: If a claim or the topic is unknown.
    """
    known = claims()
    if unknown := [name for name in names if name not in known]:
        raise RefusedError(f"No claim is named {unknown[0]!r}: the page Claims lists their names.")
    if topic and topic not in TOPICS:
        raise RefusedError(f"No topic is named {topic!r}: choose one of {', '.join(TOPICS)}.")
    chosen = names or [name for name, claim in known.items() if topic in ("", claim.topic)]
    measured = {}
    for name, verdict in run(chosen, jobs):
        measured[name] = verdict
        said = f": {verdict.said}" if verdict.said else ""
        cell = {"claim": name, "verdict": verdict.verdict, "said": verdict.said}
        yield Outcome(f"- `{name}` {verdict.verdict}{said}", cell)
    counts = Counter(verdict.verdict for verdict in measured.values())
    flax = importlib.metadata.version("flax")
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    text = f"Flax {flax} on Python {platform.python_version()}: {told}"
    data: dict[str, Any] = {"flax": flax, "python": platform.python_version(), "counts": dict(counts)}
    _, columns = published.load()
    column = columns.get(flax)
    if column is None or column.failed:
        releases = ", ".join(release for release, other in columns.items() if not other.failed)
        text += f".\n\nNothing is published for this release, so that nothing was compared. Published are {releases}."
        yield Outcome(text, data, COULD_NOT_RUN)
        return
    differences = published.compare(measured, column.verdicts, chosen)
    if differences:
        listed = "".join(f"\n- {line}" for line in differences)
        text += f"; {len(differences)} differ from those published (on Python {column.python}):\n{listed}"
    else:
        text += f", all as published (on Python {column.python})."
    yield Outcome(text, data | {"differences": differences}, NOT_YET if differences else DONE)
