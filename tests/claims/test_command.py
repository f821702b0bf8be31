"""`nnx-state claims`: a user's own Flax beside the published verdicts."""

import json
import subprocess
import sys

import pytest

from nnx_state._outcome import RefusedError
from nnx_state.claims import published, registry, verbs
from nnx_state.claims.registry import DIFFERS, HOLDS, Verdict, claims
from nnx_state.claims.retired import RETIRED

NAME = "jax-grad-takes-every-leaf"


def nnx_state(*arguments):
    command = [sys.executable, "-m", "nnx_state", "claims", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_a_claim_is_run_and_compared():
    done = nnx_state(NAME, "--all")
    assert done.returncode == 0
    assert f"- `{NAME}` holds" in done.stdout
    assert "1 holds; all as those published for Flax" in done.stdout
    assert done.stderr == ""  # the libraries warn, and nobody asked


def test_what_is_as_published_is_shown_only_if_asked():
    assert NAME not in nnx_state(NAME).stdout


def test_a_claim_is_found_by_a_name_that_it_had():
    old, new = next(iter(RETIRED.items()))
    assert f"- `{new}` " in nnx_state(old, "--all").stdout


def test_a_topic_is_run_as_json():
    done = nnx_state("--topic", "seeds", "--jobs", "2", "--all", "--format", "json")
    assert done.returncode == 0
    *cells, last = map(json.loads, done.stdout.splitlines())
    assert {cell["claim"] for cell in cells} == {name for name, one in claims().items() if one.topic == "seeds"}
    assert last["differences"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No claim is named 'nothing': the pages of the claims list their names."),
        (["--topic", "nothing"], "No topic is named 'nothing': choose one of "),
        (["--jobs", "0"], "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_run_is_told(arguments, message):
    done = nnx_state(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def last_of(monkeypatch, verdict, release=None):
    """Return the last outcome of a check of one claim that is measured as a verdict."""
    monkeypatch.setattr(verbs, "run", lambda names, jobs: [(name, verdict) for name in names])
    if release:
        monkeypatch.setattr(verbs.importlib.metadata, "version", lambda name: release)
    return list(verbs.check([NAME]))[-1]


def test_a_verdict_that_differs_from_the_published_one_fails(monkeypatch):
    outcome = last_of(monkeypatch, Verdict(DIFFERS, "inverted"))
    assert outcome.code == 1
    assert outcome.data["differences"] == [f"{NAME}: published as holds, measured as differs (inverted)"]


def test_without_a_column_of_its_own_a_release_is_compared_with_the_nearest(monkeypatch):
    _, columns = published.load()
    newest = published.nearest("99.0.0", columns)
    outcome = last_of(monkeypatch, columns[newest].verdicts[NAME], release="99.0.0")
    assert outcome.code == 0
    assert f"Nothing is published for Flax 99.0.0: the nearest release is {newest}." in outcome.text
    assert last_of(monkeypatch, Verdict(DIFFERS, "new"), release="99.0.0").code == 1


def test_a_python_on_which_a_verdict_is_another_is_compared_with_its_own(monkeypatch):
    other = Verdict(DIFFERS, "on this Python alone")
    column = published.Column("3.99.1", verdicts={NAME: Verdict(HOLDS)}, elsewhere={"3.98": {NAME: other}})
    monkeypatch.setattr(published, "load", lambda: ("", {"1.0.0": column}))
    for python, code in (("3.98.7", 0), ("3.99.1", 1)):
        monkeypatch.setattr(verbs.platform, "python_version", lambda python=python: python)
        assert last_of(monkeypatch, other, release="1.0.0").code == code


def test_an_inverted_claim_is_noticed(monkeypatch):
    """The check of a claim that holds is turned around, run as it is in production, and compared."""

    def inverted():
        try:
            claims()[NAME].run()
        except registry.Differs:
            return
        raise registry.Differs("it holds")

    _, columns = published.load()
    release = max(columns, key=published.version)
    found = published.compare({NAME: registry.judge(inverted)}, columns[release].verdicts, [NAME])
    assert found == [f"{NAME}: published as holds, measured as differs (it holds)"]


def test_a_topic_must_be_known():
    with pytest.raises(RefusedError):
        next(verbs.check([], "nothing"))
