"""The matrix: what it does when it is interrupted, when a release cannot be installed, and when a cell was edited."""

import json
import subprocess
import sys

import pytest

from nnx_state.claims import published
from nnx_state.claims.published import Column
from nnx_state.claims.registry import DIFFERS, HOLDS, Verdict, claims
from workshop import interpreters
from workshop.releases import environments, matrix
from workshop.releases.environments import Setting

NAMES = list(claims())[:4]
MODE = "0.12.12 tree mode"
OWN = Setting(environments.own(), python=interpreters.own())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_a_column_says_where_it_was_measured():
    column = matrix.measure("own", OWN, NAMES, jobs=2)
    assert column.versions["flax"] == environments.own()
    assert column.python == ".".join(map(str, sys.version_info[:3]))
    assert list(column.verdicts) == NAMES


def test_what_was_measured_is_not_measured_again(monkeypatch, cache):
    matrix.measure("own", OWN, NAMES[:2], jobs=1)
    (kept,) = cache.glob("*.jsonl")
    with kept.open("a", encoding="utf-8") as file:
        file.write(f'["{NAMES[2]}", "hol')  # the power went
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **rest: started.append(command) or popen(command, **rest))
    assert list(matrix.measure("own", OWN, NAMES, jobs=1).verdicts) == NAMES
    assert [command[-2:] for command in started] == [NAMES[2:]]
    matrix.measure("own", OWN, NAMES, jobs=1)
    assert len(started) == 1


def test_other_sources_are_measured_anew(monkeypatch, cache):
    matrix.measure("own", OWN, NAMES[:1], jobs=1)
    monkeypatch.setattr(published, "sources", lambda: "other sources")
    matrix.measure("own", OWN, NAMES[:1], jobs=1)
    assert len(list(cache.glob("*.jsonl"))) == 2


def test_flags_reach_the_run(monkeypatch):
    seen = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, **rest: seen.append(rest["env"]) or popen(command, **rest))
    setting = Setting(OWN.flax, python=OWN.python, flags=matrix.TREE_MODE)
    assert matrix.measure("own tree mode", setting, NAMES[:1], jobs=1).flags == matrix.TREE_MODE
    assert {name: seen[0][name] for name in matrix.TREE_MODE} == matrix.TREE_MODE


def test_a_release_that_cannot_be_installed_is_recorded(monkeypatch, tmp_path):
    monkeypatch.setattr(environments, "CONSTRAINTS", tmp_path / "constraints")
    column = matrix.measure("0.0.999", Setting("0.0.999", python=interpreters.own()), NAMES, jobs=1)
    assert column.failed.startswith("uv: ")
    assert "flax==0.0.999" in column.failed
    text = published.dump({"0.0.999": column, "0.1.0": Column(verdicts={"a": Verdict(HOLDS)})}, "x")
    assert json.loads(text)["releases"]["0.0.999"] == {"failed": column.failed}


def test_a_python_that_is_not_here_is_recorded():
    setting = Setting("0.12.12", python="3.99")
    assert matrix.measure("0.12.12", setting, NAMES, jobs=1).failed == "there is no Python 3.99 on this machine"


@pytest.fixture
def installs(monkeypatch):
    """Install nothing: each lock is noted, and an import fails with all but the locks that a test names."""
    locks, working = [], set()

    def lock(flax, until, version, oldest_jax=False):
        locks.append(oldest_jax)
        return oldest_jax

    monkeypatch.setattr(environments, "lock", lock)
    monkeypatch.setattr(environments, "_install", lambda base, flax, version, constraints: str(constraints))
    monkeypatch.setattr(environments, "_import_error", lambda python: "" if python in working else "ImportError: no")
    environments.python_for.cache_clear()
    yield locks, working
    environments.python_for.cache_clear()


def test_a_release_that_the_newest_jax_breaks_gets_the_oldest_that_it_allows(installs):
    locks, working = installs
    working.add("True")
    assert environments.python_for("0.99.0", "", interpreters.own()) == "True"
    assert locks == [False, True]


@pytest.mark.parametrize(("until", "tried"), [("", [False, True]), ("2026-01-01", [False])])
def test_a_release_that_cannot_be_imported_is_recorded(installs, until, tried):
    setting = Setting("0.99.0", until, interpreters.own())
    assert matrix.measure("0.99.0", setting, NAMES, jobs=1).failed == "import flax.nnx: ImportError: no"
    assert installs[0] == tried


def test_a_run_that_breaks_off_is_recorded(monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o755)
    monkeypatch.setattr(environments, "python_for", lambda *setting: str(broken))
    assert matrix.measure("own", OWN, NAMES, jobs=1).failed == "the run ended with exit code 7"


def test_what_another_python_gives_is_kept_where_it_differs(monkeypatch):
    def measure(column, setting, names, jobs, python=""):
        return Column(
            verdicts={"a": Verdict(HOLDS), "b": Verdict(DIFFERS, "x") if python == "3.12" else Verdict(HOLDS)}
        )

    monkeypatch.setattr(matrix, "measure", measure)
    monkeypatch.setattr(matrix, "OTHER_PYTHONS", {"0.13.0": ("3.12",)})
    column = matrix.measure_everywhere("0.13.0", Setting("0.13.0", python="3.13"), ["a", "b"], 1)
    assert column.elsewhere == {"3.12": {"b": Verdict(DIFFERS, "x")}}
    text = published.dump({"0.13.0": column}, "x")
    assert json.loads(text)["releases"]["0.13.0"]["elsewhere"] == {"3.12": {"b": [DIFFERS, "x"]}}


def test_a_column_survives_the_file(tmp_path):
    columns = {
        "0.13.0": Column(
            python="3.13.0",
            versions={"flax": "0.13.0"},
            flags={"F": "1"},
            verdicts={"a": Verdict(HOLDS)},
            elsewhere={"3.12": {"a": Verdict(DIFFERS, "it is not so")}},
        ),
        "0.13.1": Column(failed="yanked"),
    }
    file = tmp_path / "verdicts.json"
    file.write_text(published.dump(columns, "x"), "utf-8")
    assert published.load(file) == ("x", columns)


def test_tree_mode_comes_after_its_release():
    columns = ["0.12.12 tree mode", "0.13.0", "0.12.12", "0.9.0"]
    assert sorted(columns, key=published.version) == ["0.9.0", "0.12.12", "0.12.12 tree mode", "0.13.0"]


@pytest.mark.parametrize(
    ("release", "nearest"),
    [("0.11.0", "0.11.0"), ("0.11.9", "0.11.0"), ("0.1.0", "0.8.5"), ("1.0", "0.12.12"), (MODE, MODE)],
)
def test_the_nearest_column_is_that_of_the_release_or_the_one_before(release, nearest):
    names = ("0.8.5", "0.11.0", "0.12.12", MODE)
    columns = {name: Column() for name in names} | {"0.11.5": Column(failed="yanked")}
    assert published.nearest(release, columns) == nearest


@pytest.fixture
def old(monkeypatch):
    """Two releases whose cells all hold; measuring gives what stands in them."""
    columns = {release: Column(verdicts={name: Verdict(HOLDS) for name in "abcd"}) for release in ("0.8.5", "0.11.0")}
    true = {release: dict(column.verdicts) for release, column in columns.items()}

    def measure(column, setting, names, jobs):
        return Column(verdicts={name: true[column][name] for name in names})

    monkeypatch.setattr(matrix, "measure", measure)
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
    assert set(matrix.COLUMNS) <= set(columns)
    assert set(matrix.YANKED) <= set(columns)
    for setting in matrix.COLUMNS.values():
        text = (environments.CONSTRAINTS / f"{setting.flax}.txt").read_text("utf-8")
        assert f"flax=={setting.flax}" in text
        assert text.count("--hash=sha256:") > text.count("==")
        assert "://" not in text
