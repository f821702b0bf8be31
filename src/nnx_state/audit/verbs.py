"""What `nnx-state audit` does: load a model, audit it, and write the report in the form that was asked for."""

import contextlib
import dataclasses
import sys
from pathlib import Path

from nnx_state import _addresses, _pages
from nnx_state._outcome import DONE, NOT_YET, Outcome, RefusedError
from nnx_state.audit import baseline, sarif, saving, targets
from nnx_state.audit.calling import CallError
from nnx_state.audit.findings import Finding, by_cause, counted, others
from nnx_state.audit.report import Report, audit
from nnx_state.audit.rules import NOTE, RULES
from nnx_state.audit.settings import Settings, of_project, project_file


def check(said: Settings, form: str, *, update: bool) -> Outcome:
    """Audit a model.

    Args:
        said: what the command line says; the rest comes from the project.
        form: how the report is written: text, json, sarif, or github for annotations.
        update: whether the findings are recorded in the baseline.

    Raises:
        RefusedError: If there is nothing that can be audited; the message says why.
    """
    here = Path.cwd()
    settings = said.over(of_project(here))
    if file := project_file(here):
        targets.search(file.parent)  # what the project names
    if not settings.target:
        raise RefusedError("Nothing was given to audit: write `nnx-state audit package.module:callable`.")
    for rule in said.select:
        if rule in RULES and (needed := _needed(RULES[rule].needs, settings)):
            raise RefusedError(f"The rule {rule} needs {needed}: say it too, or in pyproject.toml.")
    if update and not settings.baseline:
        raise RefusedError("There is no baseline to update: name its file with `--baseline`.")
    report = _report(settings)
    if update:
        return _recorded(settings, report)
    if not settings.baseline:
        return _told(report, form, 0, 0)
    new, gone = baseline.split(Path(settings.baseline), settings.target, report.findings)
    return _told(dataclasses.replace(report, findings=new), form, len(report.findings) - len(new), gone)


def _needed(needs: str, settings: Settings) -> str:
    """Return the option that a rule needs and that was not given, if any."""
    if needs == saving.ORBAX:
        return "" if settings.save == saving.ORBAX else "--save orbax"
    return f"--{needs}" if needs and not getattr(settings, needs) else ""


def _report(settings: Settings) -> Report:
    """Audit the model that the settings name."""
    target, inputs = settings.target, settings.inputs
    targets.from_file.cache_clear()  # each audit reads files as they are now
    with contextlib.redirect_stdout(sys.stderr):  # what the model's own code prints is no part of the report
        model = targets.model(target)
        arguments = targets.inputs(inputs) if inputs else None
        try:
            return audit(
                model,
                inputs=arguments,
                method=settings.method or "__call__",
                optimizer=targets.optimizer(settings.optimizer) if settings.optimizer else None,
                gradients=targets.plain(settings.gradients) if settings.gradients else None,
                save=targets.plain(settings.save) if settings.save else None,
                restore=targets.plain(settings.restore) if settings.restore else None,
                select=settings.select or None,
                ignore=settings.ignore,
            )
        except saving.SaveError as error:
            raise RefusedError(f"{error}.\nWithout `--save` and `--restore`, all other rules are asked.") from error
        except (ValueError, TypeError) as error:
            raise RefusedError(str(error)) from error
        except CallError as error:
            raise RefusedError(
                f"{target} raises when it is called with {inputs}: {error}\n"
                "Without `--inputs`, its values are read, and nothing is called."
            ) from error


def _recorded(settings: Settings, report: Report) -> Outcome:
    """Record what was found in the baseline."""
    baseline.update(Path(settings.baseline), settings.target, report.findings)
    text = f"{counted(len(report.findings), 'finding')} of {settings.target} recorded in `{settings.baseline}`."
    return Outcome(text, {"recorded": len(report.findings)})


def _told(report: Report, form: str, known: int, gone: int) -> Outcome:
    """Return what is told of a report in each form, and the code: 1 where something counts."""
    code = NOT_YET if any(one.severity != NOTE for one in report.findings) else DONE
    if form == "sarif":
        return Outcome("", sarif.log(report.findings, report.rules), code)
    if form == "github":
        return Outcome("\n".join(map(_annotation, by_cause(report.findings))), {}, code)
    return Outcome(_text(report, known, gone), report.data() | {"known": known, "gone": gone}, code)


def rules() -> Outcome:
    """List the rules."""
    lines = [
        f"- `{rule.name}` ({rule.severity}{rule.needs and f', with {rule.needs}'}): {rule.about}."
        for rule in RULES.values()
    ]
    data = [
        {"rule": rule.name, "severity": rule.severity, "about": rule.about, "needs": rule.needs}
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


def _text(report: Report, known: int, gone: int) -> str:
    causes = by_cause(report.findings)
    total = f"{counted(len(report.findings), 'finding')} in {counted(len(report.rows), 'value')}"
    of_causes = f", of {counted(len(causes), 'cause')}" if len(causes) < len(report.findings) else ""
    blocks = [*map(_block, causes), f"{total}{of_causes}." if causes else str(report)]
    if known:
        blocks.append(f"{counted(known, 'known finding')} left out.")
    if gone:
        blocks.append(f"{counted(gone, 'known finding')} not found any more: `--update-baseline` forgets what is gone.")
    return "\n\n".join(blocks)


def _block(cause: list[Finding]) -> str:
    one = cause[0]
    where = f"{one.place}: " if one.place else ""
    path = f"`{one.path}`: " if one.path else ""
    read = _addresses.reached(f"audit/{one.rule}.md")
    lines = [f"{path}{one.what}", others(cause), f"Write {one.write}", f"Read: {read}"]
    return f"{where}{one.severity} [{one.rule}]\n\n" + "\n".join(f"- {line}" for line in lines if line)


def _annotation(cause: list[Finding]) -> str:
    """Return a cause as one line, which GitHub shows at the line of the file; it shows ten of a step."""
    one = cause[0]
    level = "notice" if one.severity == NOTE else one.severity
    where = f"file={_escaped(one.place.shown)},line={one.place.line}," if one.place else ""
    path = f"{one.path}: " if one.path else ""
    said = " ".join(filter(None, [f"{path}{one.what}", others(cause), f"Write {one.write}"]))
    said = said.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{level} {where}title={one.rule}::{said}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
