"""Write findings in SARIF 2.1.0, the format in which checkers hand their results to GitHub and to editors."""

import importlib.metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nnx_state import _addresses
from nnx_state.audit.findings import Finding
from nnx_state.audit.lines import Place
from nnx_state.audit.rules import RULES, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def log(findings: list[Finding], rules: list[str]) -> dict[str, Any]:
    """Return the log of one run, in types of JSON.

    Args:
        findings: those of a report.
        rules: the ids of the rules that were asked.
    """
    driver = {
        "name": "nnx-state",
        "semanticVersion": importlib.metadata.version("nnx-state"),
        "rules": [_rule(RULES[name]) for name in rules],
    }
    results = [_result(finding, rules.index(finding.rule)) for finding in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    described = {
        "id": rule.name,
        "shortDescription": {"text": f"{rule.about[0].upper()}{rule.about[1:]}."},
        "defaultConfiguration": {"level": rule.severity},
    }
    if site := _addresses.site():  # what is no address is refused by those who read it
        described["helpUri"] = _addresses.address(f"audit/{rule.name}.md", site)
    return described


def _result(finding: Finding, index: int) -> dict[str, Any]:
    """Return one result: it is the same one in the next run, as long as its rule and its path are."""
    said = f"`{finding.path}`: " if finding.path else ""
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": f"{said}{finding.what} Write {finding.write}"},
        "locations": [_location(finding)],
        "partialFingerprints": {"ruleAndPath/v1": f"{finding.rule} {finding.path}"},
    }


def _location(finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if finding.place:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": _uri(finding.place)},
            "region": {"startLine": finding.place.line},
        }
    if finding.path:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.path, "kind": "member"}]
    return location


def _uri(place: Place) -> str:
    """Return a file as SARIF names it: relative to where the command runs, or whole if it is not in there."""
    shown = Path(place.shown)
    return shown.as_uri() if shown.is_absolute() else quote(shown.as_posix())
