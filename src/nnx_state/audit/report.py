"""Audit a model, and report what was found."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from nnx_state.audit import optimizing, sarif, saving
from nnx_state.audit.calling import Inputs, filled
from nnx_state.audit.findings import Finding, counted, told
from nnx_state.audit.ignores import Ignores
from nnx_state.audit.rules import ERROR, NOTE, RULES, UNUSED_IGNORE, WARNING, Model
from nnx_state.audit.running import Call
from nnx_state.audit.table import Row, table


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Attributes:
        findings: sorted by file, line, path and rule.
        rows: the table of the model's values.
        rules: the ids of the rules that were asked: of those that need inputs or more, the ones that had it.
    """

    findings: list[Finding]
    rows: list[Row]
    rules: list[str]

    def __str__(self) -> str:
        said = told(self.findings)
        return said or f"Nothing found: {counted(len(self.rows), 'value')}, {counted(len(self.rules), 'rule')}."

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
        __tracebackhide__ = True  # in a test, the findings are what a reader needs
        failing = set(severities or (ERROR, WARNING)) - {NOTE}
        if found := [one for one in self.findings if one.severity in failing]:
            raise AssertionError(told(found))


def audit(
    model: nnx.Module,
    *,
    inputs: tuple[Any, ...] | dict[str, Any] | None = None,
    method: str = "__call__",
    optimizer: Any = None,
    gradients: Any = None,
    save: Any = None,
    restore: Any = None,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] = (),
    notes: bool = False,
) -> Report:
    """Ask a model what the lessons ask, and report what is not right, with the line that made it.

    Without inputs its values alone are looked at, so that an abstract model can be audited too.
    With inputs, copies of it are called in training and in evaluation.
    With an optimizer, steps are taken with copies of both, and with `save` a copy is saved and restored.
    The model itself stays as it is, down to the counts of its random streams.

    Args:
        model: The module.
        inputs: The positional arguments of a call, such as `(x,)`, or a dict of keyword arguments; an array may be
            given by its shape and dtype, as a `jax.ShapeDtypeStruct`.
        method: The method that is called with them, such as `"log_prob"`.
        optimizer: An `nnx.Optimizer`, or a function that takes the model and returns one.
        gradients: What the gradient is taken of: a filter, an `nnx.DiffState`, or the State that `nnx.grad` returned.
        save: Your `save(model, folder)`, or `save(model, optimizer, folder)`; `"orbax"` for Orbax alone.
        restore: Your `restore(model, folder)`, likewise, or `restore(folder)`.
        select: The ids of the rules to ask; by default all but those whose severity is note.
        ignore: The ids of rules to leave out.
        notes: Whether the rules that cannot be sure, those of that severity, are asked by default too.

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
    saved = saving.ORBAX if save == saving.ORBAX else "save"
    arguments = {"inputs": inputs, "optimizer": optimizer, "gradients": gradients, saved: save}
    given = {name for name, value in arguments.items() if value is not None}
    chosen = [name for name, rule in RULES.items() if notes or rule.severity != NOTE] if select is None else select
    asked = _asked(list(chosen), list(ignore), given)
    rows = table(model)
    if any(one is not None for one in (inputs, optimizer, save, restore)):
        _refuse_without_numbers(rows)
    call = Call(model, None)
    if inputs is not None:
        asking = Inputs(method, kwargs=inputs) if isinstance(inputs, dict) else Inputs(method, inputs)
        call = Call(model, asking.map(filled))
    elif method != "__call__":
        raise TypeError(f"{method} is called with inputs, and none were given: give some, or `()` where it takes none.")
    step, trip = optimizing.Step(), saving.Trip()
    if optimizer is not None:
        step = optimizing.step(model, optimizer, gradients)
    elif gradients is not None:
        raise TypeError("gradients are compared with an optimizer, and none was given: add optimizer=….")
    if save is not None or restore is not None:
        trip = saving.trip(model, step.optimizer, save, restore)
    looked = Model(rows, call, step, trip)
    ignores = Ignores.of([*rows, *step.rows])
    findings = [
        Finding(rule, RULES[rule].severity, found.path, found.what, found.write, found.place)
        for rule in asked
        for found in RULES[rule].finds(looked)
        if not ignores.take(rule, found.place)
    ]
    findings += [Finding(UNUSED_IGNORE, WARNING, "", one.what, one.write, one.place) for one in ignores.faults(asked)]
    return Report(sorted(findings, key=_order), rows, asked)


def _asked(chosen: list[str], ignored: list[str], given: set[str]) -> list[str]:
    """Return the rules to ask: of those that were chosen, the ones that have what they need."""
    if unknown := sorted({*chosen, *ignored} - set(RULES)):
        raise ValueError(f"There is no rule {unknown[0]}: choose among {', '.join(RULES)}.")
    able = [name for name in chosen if RULES[name].needs in {"", *given}]
    if chosen and not able:
        raise ValueError(f"The rule {chosen[0]} needs {RULES[chosen[0]].needs}, which the audit was not given.")
    return [name for name in able if name not in ignored]


def _refuse_without_numbers(rows: list[Row]) -> None:
    """Raise where a model cannot be called, trained or saved, since it holds what is no value of JAX yet, or never."""
    arrays = [array for row in rows for array in row.arrays]
    if any(isinstance(array, jax.core.Tracer) for array in arrays):
        raise ValueError("A model with a tracer cannot be called: audit it without inputs, which says where it is.")
    if any(isinstance(array, jax.ShapeDtypeStruct) for array in arrays):
        raise ValueError(
            "An abstract model cannot be called, trained or saved: audit it alone, or make its numbers first."
        )
    for row in rows:
        for leaf in jax.tree.leaves(row.held) if isinstance(row.held, nnx.Variable) else ():
            try:
                jnp.result_type(leaf) if hasattr(leaf, "dtype") else jnp.asarray(leaf)
            except (TypeError, ValueError, OverflowError):
                raise ValueError(
                    f"`{row.path}` holds {leaf!r}, which is no value of JAX, so that this model cannot be called, "
                    "trained or saved: make it a plain attribute, and no Variable."
                ) from None


def _order(finding: Finding) -> tuple[Any, ...]:
    place = finding.place
    return (place is None, (place.file, place.line) if place else (), finding.path, finding.rule)
