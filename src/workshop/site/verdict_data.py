"""The verdicts as data for programs: `docs/claims/verdicts.json`, described by the JSON Schema beside it."""

import json
from importlib.metadata import version
from typing import Any

from nnx_state._addresses import address
from nnx_state.claims import published
from nnx_state.claims.published import Column
from nnx_state.claims.registry import TOPICS, Claim, claims
from nnx_state.claims.retired import RETIRED
from workshop.pitfalls import FOLDER, entries
from workshop.site import consequences
from workshop.site.consequences import Remedy
from workshop.site.tree import Tree
from workshop.site.verdicts import address_of, heading, plain

FILE, SCHEMA = "docs/claims/verdicts.json", "docs/claims/verdicts.schema.json"
FORMAT = 1  # raised when a program that reads the data has to change
MEASURED = (
    "Each claim is a function. It ran in a process of its own on each release of Flax, installed with the packages of "
    "the day on which that release came out: python noxfile.py matrix."
)


def make(tree: Tree) -> None:
    """Make the data."""
    sources, columns = published.load()
    remedies = consequences.remedies(entries(tree.root / FOLDER))
    tree.make(FILE, f"{json.dumps(data(sources, columns, remedies), indent=1, ensure_ascii=False)}\n")


def data(sources: str, columns: dict[str, Column], remedies: list[Remedy]) -> dict[str, Any]:
    """Return the verdicts and what they are of, as they are published for programs.

    Args:
        sources: the hash of the sources that were measured.
        columns: the verdicts by release, the oldest first.
        remedies: what the entries of the pitfalls page say to write.
    """
    measured = {name: column for name, column in columns.items() if not column.failed}
    return {
        "$schema": "verdicts.schema.json",
        "meta": {
            "format": FORMAT,
            "version": version("nnx-state"),
            "date": max(column.date for column in measured.values()),
            "measured": MEASURED,
            "sources": sources,
        },
        "releases": {name: _about(column) for name, column in columns.items()},
        "topics": {address_of(module): plain(heading(module)) for module in TOPICS},
        "claims": {name: _claim(claim, measured, remedies) for name, claim in claims().items()},
        "pitfalls": {one.entry.anchor: one.fix for one in remedies},
        "retired": RETIRED,
    }


def _about(column: Column) -> dict[str, Any]:
    if column.failed:
        return {"failed": column.failed}
    about = {"python": column.python, "platform": column.platform, "date": column.date, "versions": column.versions}
    return about | ({"flags": column.flags} if column.flags else {})


def _claim(claim: Claim, columns: dict[str, Column], remedies: list[Remedy]) -> dict[str, Any]:
    verdicts = {name: column.verdicts[claim.name] for name, column in columns.items() if claim.name in column.verdicts}
    elsewhere = {
        f"{name} on Python {python}": cells[claim.name]
        for name, column in columns.items()
        for python, cells in column.elsewhere.items()
        if claim.name in cells
    }
    every = verdicts | elsewhere
    outcomes = {name: consequences.outcome(claim, one) for name, one in every.items()}
    loud = {name: done for name, done in outcomes.items() if done in (consequences.RAISES, consequences.WARNS)}
    met = {name: consequences.remedy(claim, every[name], remedies) for name in loud}
    return {
        "statement": claim.statement,
        "topic": address_of(claim.topic),
        "lesson": address(claim.lesson),
        "source": claim.source,
        "verdicts": {name: one.verdict for name, one in every.items()},
        "said": {name: one.said for name, one in every.items() if one.said},
        "outcomes": loud,
        "pitfalls": {name: found.entry.anchor for name, found in met.items() if found},
    }
