"""The data that is published: as its schema says, whole, and with names that stay."""

import json
from pathlib import Path

import jsonschema
import pytest

from nnx_state.claims import published
from nnx_state.claims.registry import claims
from nnx_state.claims.retired import RETIRED
from workshop.site import verdict_data

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / verdict_data.SCHEMA).read_text("utf-8"))
CHECKER = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
OF_LAST_RELEASE = Path(__file__).with_name("ids-of-0.1.0.txt").read_text("utf-8").split()


@pytest.fixture
def data():
    return json.loads((ROOT / verdict_data.FILE).read_text("utf-8"))


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_data_is_as_the_schema_says(data):
    CHECKER.validate(data)


DAMAGE = {
    "a key is missing": lambda data: data["meta"].pop("date"),
    "another format": lambda data: data["meta"].update(format=2),
    "no release": lambda data: data["releases"].update({"newest": {"failed": "it is no release"}}),
    "no versions": lambda data: data["releases"]["0.12.8"].pop("versions"),
    "no verdict": lambda data: next(iter(data["claims"].values()))["verdicts"].update({"0.12.8": "maybe"}),
    "no statement": lambda data: next(iter(data["claims"].values())).pop("statement"),
    "no name": lambda data: data["claims"].update({"No Name": {}}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_seen(data, damage):
    damage(data)
    assert not CHECKER.is_valid(data)


def test_every_cell_is_there(data):
    _, columns = published.load()
    measured = {name: column for name, column in columns.items() if not column.failed}
    assert set(data["claims"]) == set(claims())
    assert set(data["releases"]) == set(columns)
    for name, claim in data["claims"].items():
        for release, column in measured.items():
            assert claim["verdicts"][release] == column.verdicts[name].verdict
            assert claim["said"].get(release, "") == column.verdicts[name].said


def test_no_name_of_the_last_release_is_lost_and_none_comes_back():
    """An address that somebody has sent goes on leading to its claim, or to the one that took its place."""
    assert len(OF_LAST_RELEASE) == 385
    assert set(OF_LAST_RELEASE) - set(claims()) - set(RETIRED) == set(), "What to do: name it in retired.py."
    assert RETIRED.keys() & claims().keys() == set(), "What to do: give the claim another name."
    assert set(RETIRED.values()) <= set(claims())
