"""The audit was tried on modules of public packages: what is kept of that, and the tool that does it."""

import re
from pathlib import Path

import jax.numpy as jnp
import pytest
from flax import nnx

from nnx_state.audit.rules import RULES
from workshop.zoo import results, trying
from workshop.zoo.faults import FAULTS
from workshop.zoo.table import Entry

PAGE = Path(__file__).parents[2] / "docs/audit/index.md"


class Block(nnx.Module):
    """A model in which each fault fits."""

    def __init__(self, rngs):
        self.first = nnx.Linear(3, 3, rngs=rngs)
        self.second = nnx.Linear(3, 3, rngs=rngs)
        self.weight = nnx.Param(jnp.ones(3))
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.noise = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.noise(self.dropout(self.second(self.first(x)))) * self.weight


def test_each_rule_has_a_fault():
    assert FAULTS.keys() == RULES.keys()


def test_each_fault_is_found_where_it_is_and_changes_nothing_else():
    entry = Entry("here", "Block", lambda: Block(nnx.Rngs(0)), (jnp.ones((2, 3)),))
    fates = list(trying.fates(entry, trying.findings(entry)))
    assert [one["rule"] for one in fates] == list(FAULTS)
    assert [one for one in fates if not one["found"] or not one["line"] or one["changed"]] == []


def test_each_finding_has_a_verdict_and_each_verdict_a_finding():
    assert results.unjudged() == []


def test_nearly_all_faults_are_found_where_they_are():
    fates = [(rule, fate) for one in results.results() for rule, fate in one["fates"].items()]
    assert {rule for rule, _ in fates} == FAULTS.keys()
    placed = [fate for _, fate in fates if fate == results.RIGHT]
    assert len(placed) >= 0.99 * len(fates), results.unseen()


def test_every_module_of_the_table_was_tried():
    table = [(package, module) for package, about in results.packages().items() for module in about["modules"]]
    assert [(one["package"], one["module"]) for one in results.results()] == table
    assert len(results.packages()) >= 8
    assert len(table) >= 60


def test_every_package_is_pinned_with_hashes_and_without_addresses():
    text = Path(results.HERE, "constraints.txt").read_text("utf-8")
    pinned = re.findall(r"^([\w-]+)==\S+(?: ; .*?)? \\\n(?:    --hash=sha256:\w+(?: \\)?\n)+", text, re.M)
    assert results.packages().keys() <= {*pinned}
    assert "//" not in text


def test_the_page_says_what_came_of_it():
    hint = "What to do: put what `python noxfile.py zoo -- --figures` prints into docs/audit/index.md."
    assert results.section() in PAGE.read_text("utf-8"), hint


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results.jsonl")
    monkeypatch.setattr(results, "VERDICTS", tmp_path / "verdicts.toml")
    results.VERDICTS.write_text('[cax]\n"plain-weight kernel at a.py:3" = "True."\n')
    return {"package": "cax", "module": "VAE", "findings": ["hidden-state x at a.py:4"]}


def test_a_finding_without_a_verdict_and_a_verdict_without_a_finding_are_told(kept):
    results.keep([kept])
    new, old = results.unjudged()
    assert new.startswith("cax: hidden-state x at a.py:4 has no verdict. What to do: ")
    assert old.startswith("cax: plain-weight kernel at a.py:3 is found no more. What to do: ")


@pytest.mark.parametrize(
    ("found", "line", "changed", "said"),
    [
        (False, False, [], "not found"),
        (True, False, [], "found at another line"),
        (True, True, ["same-array x"], "found, and same-array x changes"),
    ],
)
def test_a_fault_that_is_not_found_as_it_should_be_is_told(kept, found, line, changed, said):
    fate = {"rule": "plain-weight", "path": "w", "found": found, "line": line, "changed": changed}
    results.keep([kept | {"fates": [fate]}])
    results.keep([kept])  # a run without faults leaves those of the last one
    assert results.unseen() == [f"cax VAE: the fault of plain-weight is {said}."]
