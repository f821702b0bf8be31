"""What `nnx-state audit` does: load a model, audit it, and write the report in the form that was asked for."""

import contextlib
import sys
from collections.abc import Iterable

from nnx_state import _addresses, _pages
from nnx_state._outcome import DONE, NOT_YET, Outcome, RefusedError
from nnx_state.audit import targets
from nnx_state.audit.report import Finding, Report, audit
from nnx_state.audit.rules import NOTE, RULES
from nnx_state.audit.running import CallError


def check(target: str, inputs: str, select: Iterable[str], ignore: Iterable[str], *, github: bool) -> Outcome:
    """Audit the model that a target names.

    Args:
        target: `module:callable`, `module:object` or `file.py:callable`.
        inputs: the same for the arguments of a call; empty for none.
        select: the ids of the rules to ask; empty for all but notes.
        ignore: those to leave out.
        github: whether each finding is written as an annotation of GitHub.

    Raises:
        RefusedError: If there is nothing that can be audited; the message says why.
    """
    with contextlib.redirect_stdout(sys.stderr):  # what the model's own code prints is no part of the report
        model = targets.model(target)
        arguments = targets.inputs(inputs) if inputs else None
        try:
            report = audit(model, inputs=arguments, select=list(select) or None, ignore=ignore)
        except (ValueError, TypeError) as error:
            raise RefusedError(str(error)) from error
        except CallError as error:
            raise RefusedError(f"{target} raises when it is called with {inputs}: {error}") from error
    counted = [one for one in report.findings if one.severity != NOTE]
    return Outcome(_text(report, github), report.data(), NOT_YET if counted else DONE)


def rules() -> Outcome:
    """List the rules."""
    lines = [
        f"- `{rule.name}` ({rule.severity}{', with inputs' if rule.runs else ''}): {rule.about}."
        for rule in RULES.values()
    ]
    data = [
        {"rule": rule.name, "severity": rule.severity, "about": rule.about, "inputs": rule.runs}
        for rule in RULES.values()
    ]
    return Outcome("\n".join(lines), {"rules": data})


def explain(rule: str) -> Outcome:
    """Show the page of a rule.

    Raises:
        RefusedError: If there is no such rule.
    """
    if rule not in RULES:
        raise RefusedError(f"There is no rule {rule}: choose among {', '.join(RULES)}.")
    text = _pages.page(f"audit/{rule}")
    return Outcome(text, {"rule": rule, "text": text})


def _text(report: Report, github: bool) -> str:
    if github:
        return "\n".join(map(_annotation, report.findings))
    if not report.findings:
        return str(report)
    blocks = [_block(one) for one in report.findings]
    return "\n\n".join([*blocks, _total(report)])


def _block(one: Finding) -> str:
    where = f"{one.place}: " if one.place else ""
    path = f"`{one.path}`: " if one.path else ""
    read = _addresses.reached(f"audit/{one.rule}.md")
    return f"{where}{one.severity} [{one.rule}]\n\n- {path}{one.what}\n- Write {one.write}\n- Read: {read}"


def _total(report: Report) -> str:
    count = len(report.findings)
    return f"{count} finding{'s' if count > 1 else ''} in {len(report.rows)} values."


def _annotation(one: Finding) -> str:
    """Return a finding as a line which GitHub shows at the line of the file."""
    level = "notice" if one.severity == NOTE else one.severity
    where = f"file={_escaped(one.place.shown)},line={one.place.line}," if one.place else ""
    said = f"{one.path}: {one.what} Write {one.write}".replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{level} {where}title={one.rule}::{said}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
