"""Audit the modules of the table, in the environment that has their packages: ``python -m workshop.zoo.trying``.

A line of JSON is printed for each module.
"""

import argparse
import functools
import json
import os
import sysconfig
import warnings
from collections.abc import Iterator
from typing import Any

import jax
from flax import nnx

from nnx_state.audit import Finding, audit
from nnx_state.audit.rules import RULES
from workshop.zoo.faults import FAULTS, Planted
from workshop.zoo.table import Entry, entries
from workshop.zoo.watched import Watch

PACKAGES = f"{sysconfig.get_path('purelib')}{os.sep}"


def main() -> None:
    """Print what is found in each module of some packages, and what becomes of each fault that is put into it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", action="store_true")
    parser.add_argument("packages", nargs="+")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # those of the packages are their own affair
    for package in arguments.packages:
        for entry in entries(package):
            found = findings(entry)
            told = {"package": package, "module": entry.name, "findings": _told(found)}
            print(json.dumps(told | ({"fates": list(fates(entry, found))} if arguments.seed else {})), flush=True)


def findings(entry: Entry) -> list[Finding]:
    """Return what all rules find in a module, with a call if there are arguments for one; without, no more is found."""
    still = _found(entry.make())
    if entry.inputs is None:
        return still
    called = audit(entry.make(), inputs=entry.inputs, select=RULES).findings
    assert {(one.rule, one.path) for one in still} <= {(one.rule, one.path) for one in called}
    return called


def _found(model: Any) -> list[Finding]:
    return audit(model, select=RULES).findings


def _told(findings: list[Finding]) -> list[str]:
    return [f"{one.rule} {one.path} at {_where(one)}" for one in findings]


def _where(one: Finding) -> str:
    return f"{one.place.file.removeprefix(PACKAGES)}:{one.place.line}" if one.place else "no line"


def fates(entry: Entry, before: list[Finding]) -> Iterator[dict[str, Any]]:
    """Put each fault into the module where it fits, and yield what becomes of it.

    Args:
        entry: the module.
        before: what is found in it as it is.
    """
    for rule, plant in FAULTS.items():
        runs = RULES[rule].needs == "inputs"
        if runs and (entry.inputs is None or (rule == "compiles-again" and not _is_traceable(entry))):
            continue  # what nothing compiles is compiled once no more
        watch = Watch()
        with watch.over():
            model = entry.make()
        if planted := plant(model, functools.partial(watch.line, model)):
            inputs = entry.inputs if runs else None
            found = audit(model, inputs=inputs, select=RULES, **planted.given).findings
            same = [one for one in before if runs or RULES[one.rule].needs != "inputs"]
            yield {"rule": rule, "path": planted.path, **_fate(rule, planted, found, same)}


def _is_traceable(entry: Entry) -> bool:
    """Tell whether JAX can trace a call: not where a shape depends on numbers."""
    graphdef, state = nnx.split(entry.make())

    def call(state: Any) -> None:
        nnx.merge(graphdef, state)(*(entry.inputs or ()))

    try:
        jax.eval_shape(call, state)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
        return False
    return True


def _fate(rule: str, planted: Planted, found: list[Finding], before: list[Finding]) -> dict[str, Any]:
    mine = [one for one in found if (one.rule, one.path) == (rule, planted.path)]
    lines = [(one.place.file, one.place.line) if one.place else None for one in mine]
    now, then = (
        {f"{one.rule} {one.path}" for one in each if one not in mine and not one.path.startswith(planted.below)}
        for each in (found, before)
    )
    return {"found": bool(mine), "line": planted.line in lines, "changed": sorted(now ^ then)}


if __name__ == "__main__":
    main()
