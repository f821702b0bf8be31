"""What `nnx-state audit` says in each of its forms, and what it refuses."""

import dataclasses
import json
import sys

import pytest

from nnx_state._outcome import RefusedError
from nnx_state.audit import verbs
from nnx_state.audit.findings import Finding
from nnx_state.audit.lines import Place
from nnx_state.audit.rules import RULES
from nnx_state.audit.settings import Settings

SOURCE = """\
import jax.numpy as jnp
import optax
from flax import nnx

print("loaded")


class Net(nnx.Module):
    def __init__(self):
        self.table = nnx.List([nnx.Param(jnp.arange(2)) for _ in range(2)])
        self.drop = nnx.Dropout(0.5)
        self.stranger()

    def stranger(self):
        pass

    def __call__(self, x):
        return x

    def encode(self, x):
        self.count[...] += x.shape[0]
        return x


def right():
    return nnx.Dict(w=nnx.Param(jnp.ones(2)))


def from_outside():
    model = right()
    model.n = nnx.Param(jnp.array(1))
    return model


def counting():
    model = Net()
    model.table = nnx.List([])
    model.count = nnx.Variable(jnp.array(0.0))
    return model


def raising(model, folder):
    raise OSError("full")


def optimizer(model):
    return nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.PathContains("typo"))


x = jnp.ones(3)
everything = ...
"""
WHAT = "a Param of int32: `nnx.grad` and `nnx.value_and_grad` of this model raise a TypeError."
WRITE = "`nnx.Variable(…)`, or a type of your own, for what counts, indexes or draws."
METHODS = "name the one to call, such as stranger, encode"
NO_CALL = "So the rules of a call were not asked."
NO_SAVE = (
    "So the rules of a save were not asked. They call `save(model, folder)`, or `save(model, optimizer, folder)` with "
    "an optimizer: wrap a function that takes its arguments in another order."
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a module whose name has all that has to be escaped, where someone is."""
    (tmp_path / "a,b.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("SITE_URL", "https://site.test/")
    yield tmp_path
    sys.modules.pop("a,b", None)


def told(form="text", *, update=False, **said):
    sys.modules.pop("a,b", None)
    return verbs.check(Settings(**{"target": "a,b.py:Net"} | said), form, update=update)


def test_a_text_names_each_cause_and_counts(capsys):
    done = told()
    assert done.text == (
        "a,b.py:10: error [integer-param]\n\n"
        f"- `table.0`: {WHAT}\n- Also found: `table.1`.\n- Write {WRITE}\n"
        "- Read: https://site.test/audit/integer-param/\n\n"
        "2 findings in 7 values, of 1 cause."
    )
    assert (done.code, done.data["known"], done.data["gone"]) == (1, 0, 0)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "loaded\n")  # what the model prints is no part of the report
    assert told(target="a,b.py:from_outside").text == (
        f"error [integer-param]\n\n- `n`: {WHAT}\n- Write {WRITE}\n- Read: https://site.test/audit/integer-param/\n\n"
        "1 finding in 2 values."
    )
    assert told(target="a,b.py:right").text.startswith("Nothing found: 1 value, ")


def test_github_is_told_each_cause_in_a_line():
    done = told("github", select=("integer-param", "dropout-alone"))
    what, write = WHAT.replace("%", "%25"), WRITE
    assert done.text == (
        f"::error file=a%2Cb.py,line=10,title=integer-param::table.0: {what} Also found: `table.1`. Write {write}\n"
        "::notice file=a%2Cb.py,line=11,title=dropout-alone::drop.rngs: a Dropout without `rngs`: a call in training "
        "raises, unless it is given `rngs`. Write `nnx.Dropout(rate, rngs=rngs)`."
    )
    assert (done.code, done.data) == (1, {})
    assert told("github", target="a,b.py:from_outside").text.startswith("::error title=integer-param::n: ")
    assert told("github", select=("dropout-alone",)).code == 0


def test_what_github_would_take_for_a_command_is_escaped(monkeypatch):
    monkeypatch.setattr(verbs, "others", lambda cause: "100%\r\n")
    assert "100%25%0D%0A Write" in told("github").text
    assert verbs._escaped("C:,%") == "C%3A%2C%25"


def test_sarif_is_written_whole(monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", {"nnx-state": "1.2"}.__getitem__)
    done = told("sarif", select=("integer-param", "unused-ignore"))
    assert (done.text, done.code) == ("", 1)
    level, about = {"level": "error"}, "A Param that is no float."
    others = ("unused-ignore", "A comment that leaves nothing out.", {"level": "warning"})
    rules = [
        {
            "id": name,
            "shortDescription": {"text": text},
            "defaultConfiguration": configuration,
            "helpUri": f"https://site.test/audit/{name}/",
        }
        for name, text, configuration in (("integer-param", about, level), others)
    ]
    driver = {"name": "nnx-state", "semanticVersion": "1.2", "rules": rules}
    results = [
        {
            "ruleId": "integer-param",
            "ruleIndex": 0,
            "level": "error",
            "message": {"text": f"`{path}`: {WHAT} Write {WRITE}"},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": "a%2Cb.py"}, "region": {"startLine": 10}},
                    "logicalLocations": [{"fullyQualifiedName": path, "kind": "member"}],
                }
            ],
            "partialFingerprints": {"ruleAndPath/v1": f"integer-param {path}"},
        }
        for path in ("table.0", "table.1")
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
    assert done.data == {"$schema": schema, "version": "2.1.0", "runs": [run]}


def test_a_file_elsewhere_and_a_finding_without_a_path_are_told_in_sarif(folder, monkeypatch, tmp_path_factory):
    source = SOURCE.replace("range(2)])", "range(2)])  # nnx-state: ignore[typo] because")
    (folder / "a,b.py").write_text(source)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    (result,) = told("sarif", target=f"{folder}/a,b.py:Net", ignore=("integer-param",)).data["runs"][0]["results"]
    uri = (folder / "a,b.py").as_uri()
    assert result["locations"] == [
        {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 10}}}
    ]
    assert result["message"]["text"].startswith("`ignore[typo]` gives no reason")
    assert result["partialFingerprints"] == {"ruleAndPath/v1": "unused-ignore "}
    said = {"target": f"{folder}/a,b.py:Net", "ignore": ("integer-param",)}
    place = f"{folder}/a,b.py"
    assert told(**said).text.startswith(f"{place}:10: warning [unused-ignore]\n\n- `ignore[typo]` gives no reason")
    assert told("github", **said).text.startswith(
        f"::warning file={verbs._escaped(place)},line=10,title=unused-ignore::`ignore[typo]` gives no reason"
    )


def test_what_is_known_is_recorded_and_left_out(folder):
    known = {"baseline": "known.json"}
    done = told(update=True, **known)
    assert (done.text, done.data, done.code) == (
        "2 findings of a,b.py:Net recorded in `known.json`.",
        {"recorded": 2},
        0,
    )
    done = told(**known)
    assert (done.code, done.data["known"], done.data["gone"]) == (0, 2, 0)
    assert done.text.startswith("Nothing found: ")
    assert done.text.endswith(".\n\n2 known findings left out.")
    (folder / "a,b.py").write_text(SOURCE.replace("jnp.arange(2)", "jnp.ones(2)"))
    assert told(**known).text.endswith(
        ".\n\n2 known findings not found any more: `--update-baseline` forgets what is gone."
    )
    assert told(update=True, target="a,b.py:from_outside", baseline="one.json").text.startswith("1 finding of ")


def test_a_baseline_is_written_in_the_same_way_each_time(folder):
    for target in ("a,b.py:Net", "a,b.py:from_outside", "a,b.py:right"):
        told(update=True, baseline="known.json", target=target)
    net = [{"rule": "integer-param", "path": f"table.{number}", "file": "a,b.py"} for number in range(2)]
    other = [{"rule": "integer-param", "path": "n", "file": ""}]
    content = {
        "about": "Findings that `nnx-state audit --update-baseline` has recorded.",
        "models": {"a,b.py:Net": net, "a,b.py:from_outside": other},
    }
    assert (folder / "known.json").read_text() == json.dumps(content, indent=2) + "\n"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"target": ""}, "Nothing was given to audit: write `nnx-state audit package.module:callable`."),
        (
            {"select": ("lost-write",)},
            "The rule lost-write needs --inputs: say it too, or in pyproject.toml.",
        ),
        (
            {"select": ("lost-in-checkpoint",), "save": "a,b.py:raising"},
            "The rule lost-in-checkpoint needs --save orbax: say it too, or in pyproject.toml.",
        ),
        ({"update": True}, "There is no baseline to update: name its file with `--baseline`."),
        (
            {"inputs": "a,b.py:x", "method": "decode", "select": ("lost-write",)},
            f"a,b.py:Net could not be called with a,b.py:x: its class Net has no method decode: {METHODS}.\n{NO_CALL}",
        ),
        (
            {"inputs": "a,b.py:x", "method": "decode", "baseline": "known.json", "update": True},
            f"a,b.py:Net could not be called with a,b.py:x: its class Net has no method decode: {METHODS}.\n{NO_CALL}",
        ),
        (
            {"save": "a,b.py:raising", "restore": "a,b.py:raising", "select": ("save-forgets",)},
            f"save(model, folder) raises OSError: full.\n{NO_SAVE}",
        ),
        (
            {"gradients": "a,b.py:everything"},
            "gradients are compared with an optimizer, and none was given: add optimizer=….",
        ),
        ({"ignore": ("typo",)}, f"There is no rule typo: choose among {', '.join(RULES)}."),
    ],
)
def test_what_cannot_be_audited_is_refused(said, message):
    with pytest.raises(RefusedError) as raised:
        told(**said)
    assert str(raised.value) == message


def test_what_can_be_asked_is_told_where_a_call_and_a_save_raise(capsys):
    said = {"inputs": "a,b.py:x", "method": "decode", "save": "a,b.py:raising", "restore": "a,b.py:raising"}
    done = told(**said)
    assert done == dataclasses.replace(told(), code=2)
    assert capsys.readouterr().err.endswith(
        f"a,b.py:Net could not be called with a,b.py:x: its class Net has no method decode: {METHODS}.\n{NO_CALL}\n"
        f"save(model, folder) raises OSError: full.\n{NO_SAVE}\nloaded\n"
    )


def test_what_the_project_names_is_found_from_below(folder, monkeypatch):
    (folder / "pyproject.toml").write_text('[tool.nnx-state.audit]\ntarget = "a,b.py:right"\n')
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert told(target="").code == 0


def test_a_method_is_called_with_inputs():
    said = {"target": "a,b.py:counting", "inputs": "a,b.py:x", "select": ("float-counter",)}
    assert told(**said).code == 0
    assert told(**said, method="encode").code == 1


def test_an_optimizer_is_asked():
    done = told("json", target="a,b.py:right", optimizer="a,b.py:optimizer", gradients="a,b.py:everything")
    assert [one["rule"] for one in done.data["findings"]] == ["wrt-matches-nothing"]


def test_a_rule_that_has_what_it_needs_is_asked():
    assert told(select=("lost-in-checkpoint",), save="orbax").code == 0


def test_rules_are_listed_and_explained():
    listed = verbs.rules()
    assert listed.text.splitlines()[0] == "- `integer-param` (error): a Param that is no float."
    assert "- `unused-param` (note, with inputs): a Param on which no output depends." in listed.text.splitlines()
    assert listed.data["rules"] == [
        {"rule": rule.name, "severity": rule.severity, "about": rule.about, "needs": rule.needs}
        for rule in RULES.values()
    ]
    explained = verbs.explain("plain-weight")
    assert explained.data == {"rule": "plain-weight", "text": explained.text}
    assert explained.text.startswith("# `plain-weight`")
    with pytest.raises(RefusedError) as raised:
        verbs.explain("typo")
    assert str(raised.value) == f"There is no rule typo: choose among {', '.join(RULES)}."


def test_a_finding_is_data_and_text_of_66_columns():
    finding = Finding("integer-param", "error", "table.0", WHAT, WRITE, Place("net.py", 10))
    data = {
        "rule": "integer-param",
        "severity": "error",
        "path": "table.0",
        "what": WHAT,
        "write": WRITE,
        "file": "net.py",
        "line": 10,
        "read": "https://site.test/audit/integer-param/",
    }
    assert finding.data() == data
    assert dataclasses.replace(finding, place=None).data() == data | {"file": None, "line": None}
    text = (
        "error [integer-param] table.0\n"
        "    a Param of int32: `nnx.grad` and `nnx.value_and_grad` of this\n"
        "    model raise a TypeError.\n"
        "    Write `nnx.Variable(…)`, or a type of your own, for what\n"
        "    counts, indexes or draws."
    )
    assert str(finding) == f"net.py:10: {text}"
    assert str(dataclasses.replace(finding, place=None)) == text
    assert str(dataclasses.replace(finding, path="")).startswith("net.py:10: error [integer-param]\n")
    long = dataclasses.replace(finding, what=f"{'a' * 57} bb-{'c' * 55}")
    assert str(long).splitlines()[1:3] == [f"    {'a' * 57}", f"    bb-{'c' * 55}"]
