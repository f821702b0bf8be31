"""What a project says once, and what it knows already: settings, baselines, SARIF and the fixture."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import jsonschema
import pytest
import yaml
from flax import nnx

from nnx_state._outcome import RefusedError
from nnx_state.audit import audit
from nnx_state.audit.rules import RULES
from nnx_state.audit.settings import Settings, of_project
from nnx_state.audit.verbs import check

SOURCE = """\
import jax.numpy as jnp
from flax import nnx


class Net(nnx.Module):
    def __init__(self):
        self.table = nnx.Param(jnp.arange(2))
        self.scale = jnp.ones(2)
"""
CALLED = """
    def __call__(self):
        return self.scale


build = Net


def example():
    return ()
"""
ROOT = Path(__file__).parents[2]
NAME = "audited_project"
TARGET = f"{NAME}.py:Net"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a folder with a model that has two faults; whoever runs the test is in there."""
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop(NAME, None)


def found(**said):
    """Audit the model of the project, and return what is told of it for programs."""
    sys.modules.pop(NAME, None)  # a terminal begins anew each time
    return check(Settings(**said), "json", update=False)


def rules(outcome):
    return [one["rule"] for one in outcome.data["findings"]]


def record(**said):
    sys.modules.pop(NAME, None)
    return check(Settings(**said), "text", update=True)


def test_what_is_not_said_is_taken_from_the_project(project):
    (project / "pyproject.toml").write_text(f'[tool.nnx-state.audit]\ntarget = "{TARGET}"\nignore = ["plain-weight"]\n')
    assert rules(found()) == ["integer-param"]
    assert rules(found(ignore=("integer-param",))) == ["plain-weight"]
    assert of_project(project / "below" / "it") == Settings(target=TARGET, ignore=("plain-weight",))


def test_a_project_that_says_nothing_changes_nothing(project):
    assert of_project(project) == Settings()
    (project / "pyproject.toml").write_text("[project]\nname = 'net'\n")
    assert of_project(project) == Settings()
    with pytest.raises(RefusedError, match="Nothing was given to audit"):
        found()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[tool.nnx-state.audit]\ntargets = 'net:Net'",
            "[tool.nnx-state.audit] has no setting targets: choose among target, inputs, method, select, ignore, "
            "notes, baseline, optimizer, gradients, save, restore.",
        ),
        ("[tool.nnx-state.audit]\ntarget = 3", "target of [tool.nnx-state.audit] is 3: write a text."),
        (
            "[tool.nnx-state.audit]\nselect = 'plain-weight'",
            "select of [tool.nnx-state.audit] is 'plain-weight': write a list of ids of rules.",
        ),
        (
            "[tool.nnx-state.audit]\nignore = ['a', 3]",
            "ignore of [tool.nnx-state.audit] is ['a', 3]: write a list of ids of rules.",
        ),
        ("[tool.nnx-state]\naudit = true", "[tool.nnx-state.audit] has to be a table."),
        ("[tool]\nnnx-state = 1", "[tool.nnx-state.audit] has to be a table."),
    ],
)
def test_a_setting_that_is_none_is_refused(project, text, said):
    (project / "pyproject.toml").write_text(text)
    with pytest.raises(RefusedError) as raised:
        found(target=TARGET)
    assert str(raised.value) == f"{project / 'pyproject.toml'}: {said}"


@pytest.mark.parametrize("content", [b"[tool.nnx-state", b"a = '\xff'"])
def test_a_file_that_cannot_be_read_is_refused(project, content):
    (project / "pyproject.toml").write_bytes(content)
    with pytest.raises(RefusedError, match=rf"^{re.escape(str(project / 'pyproject.toml'))} cannot be read: .+\.$"):
        found(target=TARGET)


def test_every_setting_of_a_project_is_read_and_its_baseline_stands_beside_it(project):
    said = {
        "target": TARGET,
        "inputs": f"{NAME}.py:example",
        "method": "encode",
        "select": ["plain-weight"],
        "ignore": ["same-array"],
        "baseline": "known.json",
        "optimizer": f"{NAME}.py:optimizer",
        "gradients": f"{NAME}.py:wrt",
        "save": "orbax",
        "restore": f"{NAME}.py:restore",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in said.items()]
    (project / "pyproject.toml").write_text("\n".join(["[tool.nnx-state.audit]", *lines]))
    (project / "below").mkdir()
    read = said | {"select": ("plain-weight",), "ignore": ("same-array",), "baseline": str(project / "known.json")}
    assert of_project(project / "below") == Settings(**read)


def test_a_baseline_leaves_out_what_it_records_wherever_the_line_is(project):
    assert record(target=TARGET, baseline="known.json").code == 0
    assert (found(target=TARGET, baseline="known.json").code, rules(found(target=TARGET, baseline="known.json"))) == (
        0,
        [],
    )
    moved = SOURCE.replace("    def", "    # a comment\n    def") + "        self.bias = jnp.ones(2)\n"
    (project / f"{NAME}.py").write_text(moved)
    new = found(target=TARGET, baseline="known.json")
    assert [one["path"] for one in new.data["findings"]] == ["bias"]
    assert (new.code, new.data["known"], new.data["gone"]) == (1, 2, 0)


def test_what_was_mended_is_gone_from_the_next_baseline_and_other_models_stay(project):
    record(target=TARGET, baseline="known.json")
    record(target=f"{NAME}:Net", baseline="known.json")
    (project / f"{NAME}.py").write_text(SOURCE.replace("nnx.Param(jnp.arange(2))", "nnx.Variable(jnp.arange(2))"))
    assert found(target=TARGET, baseline="known.json").data["gone"] == 1
    record(target=TARGET, baseline="known.json")
    models = json.loads((project / "known.json").read_text())["models"]
    assert {name: len(each) for name, each in models.items()} == {TARGET: 1, f"{NAME}:Net": 2}


def test_one_finding_more_of_a_kind_that_is_known_is_new(project):
    record(target=TARGET, baseline="known.json")
    content = json.loads((project / "known.json").read_text())
    content["models"][TARGET] *= 2
    (project / "known.json").write_text(json.dumps(content))
    assert found(target=TARGET, baseline="known.json").data["gone"] == 2


KNOWN = "Findings that `nnx-state audit --update-baseline` has recorded."
RECORD = {"rule": "plain-weight", "path": "scale", "file": f"{NAME}.py"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"about": 1, "models": {}}',
        '{"about": "Findings", "models": {}}',
        json.dumps({"about": KNOWN, "models": {"a": [RECORD, RECORD | {"rule": 1}]}}),
        json.dumps({"about": KNOWN, "models": {"a": [RECORD, {"rule": "plain-weight"}]}}),
    ],
)
def test_a_file_that_is_no_baseline_is_neither_read_nor_written(project, text):
    (project / "mine.json").write_text(text)
    for use in (found, record):
        with pytest.raises(RefusedError, match="is no baseline of the audit"):
            use(target=TARGET, baseline="mine.json")
    assert (project / "mine.json").read_text() == text


def test_a_baseline_that_is_not_there_is_named(project):
    with pytest.raises(
        RefusedError, match=r"^The baseline nowhere\.json cannot be read: .+\. `--update-baseline` writes one\.$"
    ):
        found(target=TARGET, baseline="nowhere.json")
    with pytest.raises(RefusedError, match="There is no baseline to update"):
        record(target=TARGET)


def exactly(**properties):
    """Return the schema of an object that has these properties and no other."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def every(item):
    return {"type": "array", "items": item}


TEXT, COUNT, LINE = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "integer", "minimum": 1}
LEVEL = {"enum": ["error", "warning", "note"]}
LOCATION = exactly(
    physicalLocation=exactly(artifactLocation=exactly(uri=TEXT), region=exactly(startLine=LINE)),
    logicalLocations=every(exactly(fullyQualifiedName=TEXT, kind={"const": "member"})),
)
RULE = exactly(
    id=TEXT,
    shortDescription=exactly(text=TEXT),
    defaultConfiguration=exactly(level=LEVEL),
    helpUri={"type": "string", "pattern": "^https://"},
)
RESULT = exactly(
    ruleId=TEXT,
    ruleIndex=COUNT,
    level=LEVEL,
    message=exactly(text=TEXT) | {"required": ["text"]},
    locations=every(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
) | {"required": ["ruleId", "message"]}
DRIVER = exactly(name=TEXT, semanticVersion=TEXT, rules=every(RULE)) | {"required": ["name"]}
RUN = exactly(tool=exactly(driver=DRIVER), columnKind={"const": "unicodeCodePoints"}, results=every(RESULT))
# What SARIF 2.1.0 says of the properties that are written here; the whole schema of the standard has four hundred.
SARIF = exactly(**{"$schema": TEXT, "version": {"const": "2.1.0"}, "runs": every(RUN)})


@pytest.mark.parametrize("site", ["", "https://site.test/"])
def test_sarif_has_each_finding_at_its_line(project, monkeypatch, site):
    monkeypatch.setenv("SITE_URL", site)
    monkeypatch.setattr("nnx_state._addresses._published", lambda: "")
    data = check(Settings(target=TARGET), "sarif", update=False).data
    jsonschema.validate(data, SARIF)
    (run,) = data["runs"]
    told = [(run["tool"]["driver"]["rules"][one["ruleIndex"]]["id"], one["locations"][0]) for one in run["results"]]
    assert [rule for rule, _ in told] == ["integer-param", "plain-weight"]
    assert told[0][1]["physicalLocation"] == {"artifactLocation": {"uri": f"{NAME}.py"}, "region": {"startLine": 7}}
    assert all(("helpUri" in rule) == bool(site) for rule in run["tool"]["driver"]["rules"])


def test_sarif_names_every_rule_that_was_asked_and_a_finding_without_a_line():
    report = audit(nnx.Dict(steps=nnx.Param(jnp.array(0))), select=[*RULES])
    data = json.loads(report.to_sarif())
    jsonschema.validate(data, SARIF)
    asked = [name for name, rule in RULES.items() if not rule.needs]
    assert [rule["id"] for rule in data["runs"][0]["tool"]["driver"]["rules"]] == asked
    (result,) = data["runs"][0]["results"]
    assert result["locations"] == [{"logicalLocations": [{"fullyQualifiedName": "steps", "kind": "member"}]}]


def test_the_workflow_of_the_page_writes_what_it_uploads(project):
    page = (ROOT / "docs" / "audit" / "index.md").read_text(encoding="utf-8")
    (workflow,) = (yaml.safe_load(text) for text in re.findall(r"```text\n(name: audit\n.*?)```", page, re.DOTALL))
    job = workflow["jobs"]["audit"]
    (audited,) = (step["run"] for step in job["steps"] if "audit" in step.get("run", ""))
    (upload,) = (step for step in job["steps"] if "upload-sarif" in step.get("uses", ""))
    assert workflow["permissions"]["security-events"] == "write"
    assert upload["if"] == "always()"
    (project / "my_project").mkdir()
    (project / "my_project" / "models.py").write_text(SOURCE + CALLED)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(audited, shell=True, env=environment, check=False)
    log = json.loads((project / upload["with"]["sarif_file"]).read_text())
    jsonschema.validate(log, SARIF)
    assert done.returncode == 1
    assert [one["ruleId"] for one in log["runs"][0]["results"]] == ["integer-param", "plain-weight"]


def test_notes_are_asked_where_the_project_says_so(project):
    (project / f"{NAME}.py").write_text(SOURCE + "        self.counts = nnx.BatchStat(jnp.array(0))\n")
    (project / "pyproject.toml").write_text("[tool.nnx-state.audit]\nnotes = true\n")
    assert "other-role" in rules(found(target=TARGET))
    (project / "pyproject.toml").write_text("[tool.nnx-state.audit]\nnotes = 1\n")
    with pytest.raises(RefusedError, match=r"notes of \[tool\.nnx-state\.audit\] is 1: write true or false"):
        found(target=TARGET)


def test_the_fixture_raises_with_the_findings_and_knows_the_project(pytester):
    pytester.makeconftest("pytest_plugins = ['nnx_state.audit.fixture']")
    pytester.makepyprojecttoml("[tool.nnx-state.audit]\nignore = ['plain-weight']\n")
    pytester.makepyfile(
        """
        import jax.numpy as jnp
        from flax import nnx

        from nnx_state.audit import audit

        class Net(nnx.Module):
            def __init__(self, ids):
                self.scale = jnp.ones(2)
                self.ids = ids

        def test_wrong(audit_state):
            audit_state(Net(nnx.Param(jnp.arange(2))))

        def test_right(audit_state):
            report = audit_state(Net(nnx.Variable(jnp.arange(2))))
            assert report.findings == []

        def test_alone():
            audit(Net(nnx.Param(jnp.arange(2)))).raise_for()
        """
    )
    done = pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines([">*audit_state(Net*", "*error * ids*", ">*raise_for()"])
    for own in ("*def audited*", "*def raise_for*"):
        done.stdout.no_fnmatch_line(own)
