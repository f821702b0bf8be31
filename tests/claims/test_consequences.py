"""What a change of a claim means for a program, and what to write."""

import re
from pathlib import Path

import pytest

from nnx_state.claims import published
from nnx_state.claims.registry import CRASHED, DIFFERS, HOLDS, NOT_APPLICABLE, Claim, Verdict, claims
from workshop.pitfalls import entries
from workshop.site import consequences
from workshop.site.consequences import ABSENT, QUIET, RAISES, UNKNOWN, WARNS

REMEDIES = consequences.remedies(entries(Path(__file__).parents[2] / "docs" / "pitfalls"))
_, COLUMNS = published.load()
LISTED = list(claims().values())

# Statements that name an error or a warning, and whose code gives none: each was read.
QUIET_ALL_THE_SAME = {
    "a-filter-that-matches-nothing",  # raises nothing
    "brackets-do-not-warn",
    "set-value-writes",  # without a warning
    "brackets-wrap-in-silence",
    "dropout-draws-in-training",  # it raises a count
    "a-stream-is-a-key-and-a-count",
}


def claim(statement: str, name: str = "a-name") -> Claim:
    return Claim(name, "gradients", statement, "lessons/training.md", "ours", (), lambda: None, (1, 1))


HELD, GONE = Verdict(HOLDS), Verdict(NOT_APPLICABLE, "there is no nnx.x")
SAW_ERROR, SAW_VALUE = Verdict(DIFFERS, "TypeError: no"), Verdict(DIFFERS, "1, not 2")
BROKEN = Verdict(CRASHED, "not measured")


@pytest.mark.parametrize(
    ("statement", "one", "outcome"),
    [
        ("`f()` is 2.", HELD, QUIET),
        ("`f()` is 2.", SAW_VALUE, QUIET),
        ("`f()` is 2.", SAW_ERROR, RAISES),
        ("`f()` is 2.", GONE, ABSENT),
        ("`f()` is 2.", BROKEN, UNKNOWN),
        ("`f()` raises a TypeError.", HELD, RAISES),
        ("`f()` raises a TypeError.", Verdict(DIFFERS, "nothing is raised, the result is a int"), QUIET),
        ("`f()` refuses an array.", HELD, RAISES),
        ("`f()` gives a DeprecationWarning.", HELD, WARNS),
        ("`f()` gives a DeprecationWarning.", Verdict(DIFFERS, "there is no warning"), QUIET),
        ("`f()` raises the count by one.", HELD, QUIET),
        ("`f()` raises nothing.", HELD, QUIET),
    ],
)
def test_an_outcome_is_what_the_code_does(statement, one, outcome):
    assert consequences.outcome(claim(statement), one) == outcome


@pytest.mark.parametrize(
    ("statement", "old", "new", "meant"),
    [
        ("`f()` is 2.", HELD, HELD, ""),
        ("`f()` is 2.", HELD, SAW_ERROR, "raises now"),
        ("`f()` is 2.", HELD, SAW_VALUE, "silently different"),
        ("`f()` is 2.", SAW_VALUE, HELD, "silently different"),
        ("`f()` is 2.", SAW_ERROR, Verdict(DIFFERS, "ValueError: no"), "another error"),
        ("`f()` is 2.", SAW_ERROR, SAW_VALUE, "raises no longer"),
        ("`f()` is 2.", SAW_ERROR, HELD, "works now"),
        ("`f()` is 2.", GONE, SAW_ERROR, "new"),
        ("`f()` is 2.", HELD, GONE, "gone"),
        ("`f()` is 2.", HELD, BROKEN, ""),
        ("`f()` raises a TypeError.", SAW_VALUE, HELD, "raises now"),
        ("`f()` raises a TypeError.", HELD, SAW_VALUE, "raises no longer"),
        ("`f()` gives a UserWarning.", SAW_VALUE, HELD, "warns now"),
        ("`f()` gives a UserWarning.", HELD, SAW_VALUE, "warns no longer"),
    ],
)
def test_a_consequence_is_what_a_program_meets(statement, old, new, meant):
    assert consequences.consequence(claim(statement), old, new) == meant


def test_each_statement_that_names_an_error_or_a_warning_is_understood():
    """What to do: teach `consequences.py` the words of the statement, or name it in the list above."""
    named = [one for one in LISTED if re.search(r"\braise|\brefuse|Error\b|\bwarn|Warning\b", one.statement)]
    quiet = {one.name for one in named if consequences.outcome(one, HELD) == QUIET}
    assert len(named) > 90
    assert quiet == QUIET_ALL_THE_SAME


def test_a_remedy_is_that_of_the_error_that_is_met():
    wrt = consequences.remedy(
        claim("It works."), Verdict(DIFFERS, "TypeError: grad() got an unexpected keyword argument 'wrt'"), REMEDIES
    )
    assert wrt.entry.anchor == "grad-wrt"
    assert "nnx.DiffState" in wrt.fix
    assert "](" not in wrt.fix
    linked = consequences.remedy(claim("It warns.", "hook-warns"), HELD, REMEDIES)
    assert linked.entry.anchor == "hooks"
    assert consequences.remedy(claim("It works."), SAW_VALUE, REMEDIES) is None


def test_releases_share_a_column_where_all_claims_agree():
    columns = {name: column for name, column in reversed(COLUMNS.items()) if not column.failed}
    for topic in {one.topic for one in LISTED}:
        listed = [one for one in LISTED if one.topic == topic]
        groups = list(consequences.groups(listed, columns))
        assert [name for group in groups for name in group] == list(columns)
        for group in groups:
            assert len(group) == 1 or not any(" " in name for name in group)
            for one in listed:
                assert len({columns[name].verdicts[one.name].verdict for name in group}) == 1


def test_the_last_change_is_the_newest():
    releases = {name: one for name, one in reversed(COLUMNS.items()) if not one.failed and " " not in name}
    kind, since, before = consequences.last_change(claims()["reading-value-warns"], releases)
    assert kind == "warns now"
    assert before.said == "there is no warning"
    assert releases[since].verdicts["reading-value-warns"].verdict == HOLDS
    assert consequences.last_change(claims()["classic-param-is-a-variable"], releases) is None
