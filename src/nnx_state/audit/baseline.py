"""Findings that a project knows already: a file that records them, so that only new ones are told."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from nnx_state import _files, _reading
from nnx_state._outcome import RefusedError
from nnx_state.audit.findings import Finding

MARK = "Findings that `nnx-state audit --update-baseline` has recorded."  # how the file is told from others
Key = tuple[str, str, str]  # the rule, the path of the value, and the file, without the line: lines move


def split(path: Path, target: str, findings: list[Finding]) -> tuple[list[Finding], int]:
    """Return the findings that are not recorded, and how many recorded ones there are no more.

    Args:
        path: the file of the baseline.
        target: the model, as it was named.
        findings: those of its report.

    Raises:
        RefusedError: If there is no such file, or it is no baseline.
    """
    recorded = Counter((one["rule"], one["path"], one["file"]) for one in _models(path).get(target, []))
    new = []
    for finding in findings:
        key = _key(finding, path)
        if recorded[key]:
            recorded[key] -= 1
        else:
            new.append(finding)
    return new, recorded.total()


def update(path: Path, target: str, findings: list[Finding]) -> None:
    """Record the findings of a model in place of those that were recorded; those of other models stay.

    Raises:
        RefusedError: If the file cannot be written, or is something else than a baseline.
    """
    models = _models(path) if os.path.lexists(path) else {}
    keys = sorted(_key(finding, path) for finding in findings)
    models[target] = [dict(zip(("rule", "path", "file"), key, strict=True)) for key in keys]
    content = {"about": MARK, "models": {name: models[name] for name in sorted(models) if models[name]}}
    _files.replace(path, json.dumps(content, indent=2) + "\n")


def _key(finding: Finding, path: Path) -> Key:
    """Return what is recorded of a finding: a file beside the baseline or below is named from there."""
    file = Path(finding.place.file if finding.place else "")
    folder = path.absolute().parent
    inside = file.is_relative_to(folder)
    return finding.rule, finding.path, file.relative_to(folder).as_posix() if inside else file.name


def _models(path: Path) -> dict[str, list[dict[str, str]]]:
    """Read what a baseline records of each model."""
    with _files.refusing(f"The baseline {path} cannot be read", " `--update-baseline` writes one."):
        data = _reading.contents(path)
    try:
        content = json.loads(data)
        models: dict[str, list[dict[str, str]]] = content["models"]
        if content["about"] != MARK or not all(_is_record(one) for each in models.values() for one in each):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise RefusedError(f"{path} is no baseline of the audit: name another file, or remove it.") from None
    return models


def _is_record(one: Any) -> bool:
    return {"rule", "path", "file"} == one.keys() and all(isinstance(each, str) for each in one.values())
