"""What a change between two releases means for a program: it raises now, warns now, is silently different, or is new.

A verdict says whether a statement is true, which is not what a reader asks first. An *outcome* says what the code of
the statement does: it raises, it warns, it is quiet, or its subject is absent. The words of the statement say so where
it holds, and what was seen instead says so where it differs.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from nnx_state import _pages
from nnx_state.claims.published import Column
from nnx_state.claims.registry import CRASHED, HOLDS, NOT_APPLICABLE, Claim, Verdict
from workshop.pitfalls import Entry

RAISES, WARNS, QUIET, ABSENT = "raises", "warns", "quiet", "absent"
UNKNOWN = "unknown"  # the check broke off

RAISES_NOW = "raises now"
WARNS_NOW = "warns now"
SILENT = "silently different"
OTHER_ERROR = "another error"
RAISES_NO_LONGER = "raises no longer"
WARNS_NO_LONGER = "warns no longer"
WORKS_NOW = "works now"
NEW = "new"
GONE = "gone"
BAD = (RAISES_NOW, WARNS_NOW, SILENT, OTHER_ERROR)  # a program that ran has to change, or gives something else
KINDS = (*BAD, RAISES_NO_LONGER, WARNS_NO_LONGER, WORKS_NOW, NEW, GONE)  # in the order of a list

_ERROR = r"`?[A-Z]\w*Error\b`?"
_SAYS_RAISES = re.compile(
    rf"\braises? (an? )?{_ERROR}|\braises? an error|\braises(?: if| at its|: |,|\.)|"
    rf"\brefuses?\b|\b(?:is|are) refused|is an? {_ERROR}|: an? {_ERROR} says"
)
_SAYS_WARNS = re.compile(r"\b(?:gives|emits) an? \w+Warning\b")
_SAW_RAISE = re.compile(
    rf"^(?:Differs: )?[A-Z]\w*(?:Error|Exception): |raises an? {_ERROR}|\brefuses\b.* with an? {_ERROR}|^refused: |"
    r"^the tree structures do not match"  # the check turns the error of Orbax into words
)
_FIX = re.compile(r"^\*\*(?:Fix|What works)\.\*\* (.+)$", re.MULTILINE)
_CLAIM = re.compile(r"\(\.\./claims/[\w-]+\.md#([\w-]+)\)")


def outcome(claim: Claim, one: Verdict) -> str:
    """Return what the code of a claim did where it got this verdict, such as `RAISES` or `QUIET`."""
    if one.verdict == CRASHED:
        return UNKNOWN
    if one.verdict == NOT_APPLICABLE:
        return ABSENT
    if one.verdict != HOLDS:
        return RAISES if _SAW_RAISE.search(one.said) else QUIET
    if _SAYS_WARNS.search(claim.statement):
        return WARNS
    return RAISES if _SAYS_RAISES.search(claim.statement) else QUIET


def consequence(claim: Claim, old: Verdict, new: Verdict) -> str:
    """Return what it means that a claim went from one verdict to another: one of `KINDS`, or nothing."""
    before, after = outcome(claim, old), outcome(claim, new)
    if old == new or UNKNOWN in (before, after) or before == after == ABSENT:
        return ""
    if after == ABSENT:
        return GONE
    if before == ABSENT:
        return NEW
    if after == RAISES:
        return OTHER_ERROR if before == RAISES else RAISES_NOW
    if after == WARNS:
        return WARNS_NOW if before != WARNS else SILENT
    if before == RAISES:
        return WORKS_NOW if new.verdict == HOLDS else RAISES_NO_LONGER
    return WARNS_NO_LONGER if before == WARNS else SILENT


def last_change(claim: Claim, columns: dict[str, Column]) -> tuple[str, str, Verdict] | None:
    """Return the last change of a claim: its consequence, the release since which it is so, the verdict before.

    Args:
        claim: the claim.
        columns: by release, the newest first, tree mode left out.
    """
    names = [name for name in columns if claim.name in columns[name].verdicts]
    for newer, older in itertools.pairwise(names):
        now, before = (columns[name].verdicts[claim.name] for name in (newer, older))
        if kind := consequence(claim, before, now):
            return kind, newer, before
    return None


@dataclass(frozen=True)
class Remedy:
    """What an entry of the pitfalls says to write.

    Attributes:
        entry: the entry.
        fix: its fix, in Markdown without links.
        claims: the names of the claims that it links to.
    """

    entry: Entry
    fix: str
    claims: frozenset[str]


def remedies(entries: list[Entry]) -> list[Remedy]:
    """Return what each entry of the pitfalls says to write, where it says so in words."""
    found = ((entry, _FIX.search(entry.whole)) for entry in entries)
    return [
        Remedy(entry, _pages.without_links(fix[1]), frozenset(_CLAIM.findall(entry.whole)))
        for entry, fix in found
        if fix
    ]


def remedy(claim: Claim, one: Verdict, known: list[Remedy]) -> Remedy | None:
    """Return the remedy for what a claim meets where it got this verdict, or None.

    It is that of the entry whose title the error begins with, or else of the first one that links to the claim.
    """
    said = one.said.removeprefix("Differs: ").replace("`", "")
    covering = (each for each in known if said and each.entry.is_error and each.entry.covers(said))
    linked = (each for each in known if claim.name in each.claims)
    return next(covering, None) or next(linked, None)


def groups(listed: list[Claim], columns: dict[str, Column]) -> Iterator[list[str]]:
    """Yield neighbouring releases on which every claim of a topic has one verdict and one outcome; modes stay alone.

    Args:
        listed: the claims.
        columns: by release, the newest first.
    """
    run: list[str] = []
    for name, column in columns.items():
        if run and " " not in name and " " not in run[-1] and _alike(listed, columns[run[-1]], column):
            run.append(name)
            continue
        if run:
            yield run
        run = [name]
    if run:
        yield run


def _alike(listed: list[Claim], one: Column, other: Column) -> bool:
    missing = Verdict(CRASHED)
    for claim in listed:
        mine, theirs = (column.verdicts.get(claim.name, missing) for column in (one, other))
        if mine.verdict != theirs.verdict or outcome(claim, mine) != outcome(claim, theirs):
            return False
    return True
