"""The matrix: what it does when it is interrupted, when a release cannot be installed, and when a cell was edited."""

import json
import subprocess
import sys

import pytest

from nnx_state.claims import published
from nnx_state.claims.published import Column
from nnx_state.claims.registry import DIFFERS, HOLDS, Verdict, claims
from workshop.releases import matrix

NAMES = list(claims())[:4]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_a_column_says_where_it_was_measured():
    column = matrix.measure(matrix.own(), NAMES, jobs=2)
    assert column.versions["flax"] == matrix.own()
    assert column.python == ".".join(map(str, sys.version_info[:3]))
    assert list(column.verdicts) == NAMES


def test_what_was_measured_is_not_measured_again(monkeypatch, cache):
    matrix.measure(matrix.own(), NAMES[:2], jobs=1)
    (kept,) = cache.glob("*.jsonl")
    with kept.open("a", encoding="utf-8") as file:
        file.write(f'["{NAMES[2]}", "hol')  # the power went
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **rest: started.append(command) or popen(command, **rest))
    assert list(matrix.measure(matrix.own(), NAMES, jobs=1).verdicts) == NAMES
    assert [command[-2:] for command in started] == [NAMES[2:]]
    matrix.measure(matrix.own(), NAMES, jobs=1)
    assert len(started) == 1


def test_other_sources_are_measured_anew(monkeypatch, cache):
    matrix.measure(matrix.own(), NAMES[:1], jobs=1)
    monkeypatch.setattr(published, "sources", lambda: "other sources")
    matrix.measure(matrix.own(), NAMES[:1], jobs=1)
    assert len(list(cache.glob("*.jsonl"))) == 2


def test_a_release_that_cannot_be_installed_is_recorded(monkeypatch, tmp_path):
    monkeypatch.setattr(matrix, "CONSTRAINTS", tmp_path / "constraints")
    column = matrix.measure("0.0.999", NAMES, jobs=1)
    assert column.failed.startswith("uv: ")
    assert "flax==0.0.999" in column.failed
    text = published.dump({"0.0.999": column, "0.1.0": Column(verdicts={"a": Verdict(HOLDS)})}, "x")
    assert json.loads(text)["releases"]["0.0.999"] == {"failed": column.failed}


def test_a_run_that_breaks_off_is_recorded(monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setattr(matrix, "environment", lambda release: str(broken))
    assert matrix.measure("0.11.0", NAMES, jobs=1).failed == "the run ended with exit code 7"


@pytest.fixture
def old(monkeypatch):
    """Two releases whose cells all hold; measuring gives what stands in them."""
    columns = {release: Column(verdicts={name: Verdict(HOLDS) for name in "abcd"}) for release in ("0.8.5", "0.11.0")}
    true = {release: dict(column.verdicts) for release, column in columns.items()}
    monkeypatch.setattr(
        matrix, "measure", lambda release, names, jobs: Column(verdicts={name: true[release][name] for name in names})
    )
    return columns


def test_a_sample_notices_a_cell_that_was_edited(old):
    assert matrix.sample(old, seed=0, cells=4, releases=2, jobs=1) == []
    old["0.8.5"].verdicts["b"] = Verdict(DIFFERS, "by hand")
    (found,) = matrix.sample(old, seed=0, cells=4, releases=2, jobs=1)
    assert found == "0.8.5: b: published as differs (by hand), measured as holds"


def test_the_newest_release_is_compared_with_the_one_before_it(old):
    newest = {"0.13.0": Column(verdicts={name: Verdict(HOLDS) for name in "abcd"} | {"c": Verdict(DIFFERS, "new")})}
    found = matrix._differences(newest, old, list("abcd"))
    assert found == ["0.13.0 against 0.11.0: c: published as holds, measured as differs (new)"]
    assert matrix._differences({"0.13.0": Column(failed="uv: no")}, old, list("abcd")) == [
        "0.13.0 against 0.11.0: uv: no"
    ]


def test_every_release_of_the_matrix_has_constraints_with_hashes_and_no_addresses():
    _, columns = published.load()
    assert set(matrix.RELEASES) <= set(columns)
    for release in set(columns) - {matrix.own()}:
        text = (matrix.CONSTRAINTS / f"{release}.txt").read_text("utf-8")
        assert f"flax=={release}" in text
        assert text.count("--hash=sha256:") > text.count("==")
        assert "://" not in text
