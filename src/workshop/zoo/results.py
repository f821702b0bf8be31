"""What the audit found in the modules of public packages, beside the verdicts, and what the page says of both."""

import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS, VERDICTS, TABLE = HERE / "results.jsonl", HERE / "verdicts.toml", HERE / "models.toml"
RIGHT = "found at its line"  # what a fault has to become


def packages() -> dict[str, Any]:
    """Return the table of modules, by package."""
    return tomllib.loads(TABLE.read_text("utf-8"))


def releases() -> dict[str, str]:
    """Return the release of each package, as it is pinned."""
    return dict(re.findall(r"^([\w-]+)==(\S+)", (HERE / "constraints.txt").read_text("utf-8"), re.M))


def results() -> list[dict[str, Any]]:
    """Return what is kept of each module: its package, its name, its findings, and what became of each fault."""
    return [json.loads(line) for line in RESULTS.read_text("utf-8").splitlines()] if RESULTS.exists() else []


def verdicts() -> dict[str, dict[str, str]]:
    """Return the verdict on each finding, by package, a sentence that says why it is a true one."""
    return tomllib.loads(VERDICTS.read_text("utf-8"))


def keep(told: list[dict[str, Any]]) -> None:
    """Write what was told of some modules; what it does not tell of them stays as it is kept."""
    kept = {(one["package"], one["module"]): one for one in results()}
    for one in told:
        name = (one["package"], one["module"])
        fates = {"fates": {fate["rule"]: said(fate) for fate in one["fates"]}} if "fates" in one else {}
        kept[name] = kept.get(name, {}) | one | fates
    table = [(package, module) for package, about in packages().items() for module in about["modules"]]
    lines = [json.dumps(kept[name]) for name in table if name in kept]
    RESULTS.write_text("".join(f"{line}\n" for line in lines), "utf-8", newline="\n")


def said(fate: dict[str, Any]) -> str:
    """Say what became of a fault that was put into a module."""
    if not fate["found"]:
        return "not found"
    if fate["changed"]:
        return f"found, and {', '.join(fate['changed'])} changes"
    return RIGHT if fate["line"] else "found at another line"


def unjudged() -> list[str]:
    """Return the findings without a verdict, and the verdicts without a finding, each with what to do."""
    found = {(one["package"], finding) for one in results() for finding in one["findings"]}
    judged = {(package, finding) for package, each in verdicts().items() for finding in each}
    new = "has no verdict. What to do: look at it, and write one into verdicts.toml, or mend the rule."
    old = "is found no more. What to do: take its verdict out of verdicts.toml."
    told = [(found - judged, new), (judged - found, old)]
    return [f"{package}: {finding} {what}" for names, what in told for package, finding in sorted(names)]


def unseen() -> list[str]:
    """Return the faults that were not found where they are, or that changed another finding."""
    return [
        f"{one['package']} {one['module']}: the fault of {rule} is {fate}."
        for one in results()
        for rule, fate in one["fates"].items()
        if fate != RIGHT
    ]


def section() -> str:
    """Return what the page says of the results, in two tables."""
    release, judged = releases(), verdicts()
    modules = Counter(one["package"] for one in results())
    lines = ["| Package | Release | Of | Modules | Findings |", "|---|---|---|---|---|"]
    for name, about in packages().items():
        count = len(judged.get(name, {}))
        lines.append(f"| {name} | {release[name]} | {about['about']} | {modules[name]} | {count or 'none'} |")
    fates = Counter((rule, fate) for one in results() for rule, fate in one["fates"].items())
    lines += ["", "| Rule | Faults | Found | At its line |", "|---|---|---|---|"]
    for rule in dict.fromkeys(rule for rule, _ in fates):
        planted = sum(count for (name, _), count in fates.items() if name == rule)
        found = planted - fates[rule, "not found"]
        lines.append(f"| `{rule}` | {planted} | {found} | {fates[rule, RIGHT]} |")
    return "\n".join(lines)
