"""Audit a model, and report what was found."""

import json
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx

from nnx_state import _addresses
from nnx_state.audit import optimizing, sarif, saving
from nnx_state.audit.calling import Inputs
from nnx_state.audit.ignores import Ignores
from nnx_state.audit.lines import Place
from nnx_state.audit.rules import ERROR, NOTE, RULES, UNUSED_IGNORE, WARNING, Model
from nnx_state.audit.running import Call
from nnx_state.audit.table import Row, table

WIDTH = 66  # columns of a report in text: as much as a page shows without scrolling


@dataclass(frozen=True)
class Finding:
    """One thing that is not right with a model.

    Attributes:
        rule: the id of the rule, which is also the name of its page.
        severity: `"error"`, `"warning"` or `"note"`.
        path: the path of the value, such as `layers.0.kernel`.
        what: what it is, and what that does to this model.
        write: what to write in its place.
        place: the file and line that made it, or None where no line of a class did.
    """

    rule: str
    severity: str
    path: str
    what: str
    write: str
    place: Place | None

    def data(self) -> dict[str, Any]:
        """Return it for programs, in types of JSON."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "path": self.path,
            "what": self.what,
            "write": self.write,
            "file": self.place.shown if self.place else None,
            "line": self.place.line if self.place else None,
            "read": _addresses.address(f"audit/{self.rule}.md", _addresses.site()),
        }

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        said = (f"{where}{self.severity} [{self.rule}] {self.path}".strip(), self.what, f"Write {self.write}")
        return "\n".join(_wrapped(line, "" if number == 0 else "    ") for number, line in enumerate(said))


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Attributes:
        findings: sorted by file, line, path and rule.
        rows: the table of the model's values.
        rules: the ids of the rules that were asked.
    """

    findings: list[Finding]
    rows: list[Row]
    rules: list[str]

    def __str__(self) -> str:
        said = "\n\n".join(map(str, self.findings))
        return said or f"Nothing found: {len(self.rows)} values, {len(self.rules)} rules."

    def data(self) -> dict[str, Any]:
        """Return findings and values for programs, in types of JSON."""
        return {"findings": [one.data() for one in self.findings], "values": [row.data() for row in self.rows]}

    def to_json(self) -> str:
        """Return findings and values as JSON."""
        return json.dumps(self.data())

    def to_sarif(self) -> str:
        """Return the findings in SARIF 2.1.0, as GitHub and editors read them."""
        return json.dumps(sarif.log(self.findings, self.rules))

    def raise_for(self, *severities: str) -> None:
        """Raise an AssertionError with what was found.

        Args:
            *severities: which count; errors and warnings by default. A note never does.
        """
        counted = set(severities or (ERROR, WARNING)) - {NOTE}
        if found := [one for one in self.findings if one.severity in counted]:
            raise AssertionError("\n\n".join(map(str, found)))


def audit(
    model: nnx.Module,
    *,
    inputs: Inputs | None = None,
    optimizer: Any = None,
    gradients: Any = None,
    save: Any = None,
    restore: Any = None,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] = (),
) -> Report:
    """Ask a model what the lessons ask, and report what is not right, with the line that made it.

    Without inputs its values alone are looked at, so that an abstract model can be audited too.
    With inputs, copies of it are called in training and in evaluation.
    With an optimizer, steps are taken with copies of both, and with `save` a copy is saved and restored.
    The model itself stays as it is, down to the counts of its random streams.

    Args:
        model: The module.
        inputs: The positional arguments of a call, such as `(x,)`, or a dict of keyword arguments.
        optimizer: An `nnx.Optimizer`, or a function that takes the model and returns one.
        gradients: What the gradient is taken of: a filter, an `nnx.DiffState`, or the State that `nnx.grad` returned.
        save: Your `save(model, folder)`, or `save(model, optimizer, folder)`; `"orbax"` for Orbax alone.
        restore: Your `restore(model, folder)`, likewise, or `restore(folder)`.
        select: The ids of the rules to ask; by default all but those whose severity is note.
        ignore: The ids of rules to leave out.

    Returns:
        A report that prints its findings.

    Raises:
        TypeError: If `model` is not a module, or another argument is not what it should be.
        ValueError: If there is no rule of an id, the model has no numbers and inputs, an optimizer or `save` are given,
            or an optimizer, a save or a restore raises.
        nnx_state.audit.calling.CallError: If the model raises when it is called with the inputs.

    ```python
    import jax.numpy as jnp
    from flax import nnx

    from nnx_state.audit import audit

    model = nnx.Dict(steps=nnx.Param(jnp.array(0)))
    (finding,) = audit(model).findings
    print(finding.rule, finding.path)
    ```

    ```{.text .output}
    integer-param steps
    ```
    """
    asked = _asked(select, ignore)
    rows = table(model)
    saved = saving.ORBAX if save == saving.ORBAX else "save"
    arguments = {"inputs": inputs, "optimizer": optimizer, "gradients": gradients, saved: save}
    given = {name for name, value in arguments.items() if value is not None}
    call = Call(_with_numbers(model, rows) if inputs is not None else model, inputs)
    step, trip = optimizing.Step(), saving.Trip()
    if optimizer is not None:
        step = optimizing.step(_with_numbers(model, rows), optimizer, gradients)
    elif gradients is not None:
        raise TypeError("gradients are compared with an optimizer, and none was given: add optimizer=….")
    if save is not None or restore is not None:
        trip = saving.trip(_with_numbers(model, rows), step.optimizer, save, restore)
    looked = Model(rows, call, step, trip)
    ignores = Ignores.of([*rows, *step.rows])
    findings = [
        Finding(rule, RULES[rule].severity, found.path, found.what, found.write, found.place)
        for rule in asked
        for found in RULES[rule].finds(looked)
        if not ignores.take(rule, found.place)
    ]
    findings += [
        Finding(UNUSED_IGNORE, WARNING, "", one.what, one.write, one.place) for one in ignores.faults(asked, given)
    ]
    return Report(sorted(findings, key=_order), rows, asked)


def _wrapped(line: str, indent: str) -> str:
    return textwrap.fill(line, WIDTH, initial_indent=indent, subsequent_indent="    ", break_on_hyphens=False)


def _asked(select: Iterable[str] | None, ignore: Iterable[str]) -> list[str]:
    ignored = list(ignore)
    chosen = [name for name, rule in RULES.items() if rule.severity != NOTE] if select is None else list(select)
    if unknown := sorted({*chosen, *ignored} - set(RULES)):
        raise ValueError(f"There is no rule {unknown[0]}: choose among {', '.join(RULES)}.")
    return [name for name in chosen if name not in ignored]


def _with_numbers(model: nnx.Module, rows: list[Row]) -> nnx.Module:
    arrays = [array for row in rows for array in row.arrays]
    if any(isinstance(array, jax.core.Tracer) for array in arrays):
        raise ValueError("A model with a tracer cannot be called: audit it without inputs, which says where it is.")
    if any(isinstance(array, jax.ShapeDtypeStruct) for array in arrays):
        raise ValueError(
            "An abstract model cannot be called, trained or saved: audit it alone, or make its numbers first."
        )
    return model


def _order(finding: Finding) -> tuple[Any, ...]:
    place = finding.place
    return (place is None, place or Place("", 0), finding.path, finding.rule)
