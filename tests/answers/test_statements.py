"""What Flax NNX can raise and warn of is listed, and what is listed leads to entries that there are."""

import pytest

from nnx_state.answers.entries import load
from workshop import statements


def test_no_text_is_new_in_the_installed_release():
    listed = statements.listed()
    new = [one for one in statements.statements(statements.installed()) if one not in listed]
    assert new == [], (
        "What to do: python noxfile.py statements, then write entries for what is new, or why it has none."
    )


def test_each_text_has_an_entry_or_a_reason():
    rows = statements.listed().items()
    neither = [one for one, row in rows if not row.get("entry", "").strip() and not row.get("why", "").strip()]
    assert neither == [], "What to do: write an entry that has the text, name one that says it, or fill in `why`."


def test_what_is_listed_leads_to_entries():
    anchors = set(load().by_anchor) | {cause.anchor for entry in load().listed for cause in entry.causes}
    rows = statements.listed().values()
    assert {row["entry"] for row in rows if "entry" in row} <= anchors
    assert not [row for row in rows if row.get("entry") and row.get("why")]
    assert sum("entry" in row for row in rows) >= 50


def test_the_matcher_leads_each_text_to_its_entry():
    """What the source says is what a reader pastes, so the text of a row has to find the entry that the row names."""
    rows = [(one, row) for one, row in statements.listed().items() if "entry" in row]
    unmatched = {one for one, row in rows if row.get("unmatched", "").strip()}
    lost = {one for one, row in rows if row["entry"] not in statements.led(one)}
    assert lost - unmatched == set(), "What to do: add the text to the entry, or say in `unmatched` why it cannot lead."
    assert unmatched - lost == set(), "What to do: take `unmatched` out, since the matcher leads there."
    assert not [row for row in statements.listed().values() if "unmatched" in row and "entry" not in row]


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("raise ValueError('a  b')", ["ValueError: a b"]),
        ("raise errors.TraceError(f'a {b} c' + d)", ["TraceError: a … c …"]),
        ("raise KeyError(name) from None", ["KeyError: …"]),
        ("raise", []),
        ("warnings.warn('old', DeprecationWarning, stacklevel=2)", ["DeprecationWarning: old"]),
        ("warnings.warn('odd', category=FutureWarning)", ["FutureWarning: odd"]),
        ("warnings.warn(text)", ["UserWarning: …"]),
    ],
)
def test_each_statement_is_read(tmp_path, source, texts):
    (tmp_path / "m.py").write_text(f"{source}\n", "utf-8")
    assert [one.text for one in statements.statements(tmp_path)] == texts
