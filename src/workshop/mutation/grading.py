"""Tell whether grading notices that a solution has changed: ``python noxfile.py grading``.

Every mutant of every solution is graded. A mutant that passes does what the problem asks all the same, which is
explained in ``equivalent-solutions.toml``, or it is listed, and the checks have a gap. Of the others it is counted how
many get a diagnosis that names what was changed: its statement, a name that stands in it, or what is around it.
"""

import argparse
import ast
import os
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nnx_state.practice.exercises import Exercise, exercise, exercises
from nnx_state.practice.grading import Report, grade_source
from workshop.attempts import forked
from workshop.mutation.mutants import Mutant, mutants

LIMIT = 60.0  # seconds; several run at a time
EQUIVALENT = Path(__file__).with_name("equivalent-solutions.toml")
Change = tuple[str, str, str]  # an exercise, a line of its solution, and a change of that


def graded(one: Exercise, mutant: Mutant) -> Report:
    """Return what grading finds in a mutant."""
    return grade_source(one, mutant.source, LIMIT, forked)


def explained() -> dict[Change, str]:
    """Return the reason why a mutant does what the problem asks, of each one that does."""
    entries = tomllib.loads(EQUIVALENT.read_text("utf-8"))["mutant"]
    return {(entry["exercise"], entry["code"], entry["change"]): entry["reason"] for entry in entries}


def change_of(one: Exercise, mutant: Mutant) -> Change:
    """Return what stands for a mutant in the explanations."""
    return one.slug, one.solution.splitlines()[mutant.line - 1].strip(), str(mutant)


def names_the_change(one: Exercise, report: Report, mutant: Mutant) -> bool:
    """Tell whether the primary diagnosis names the changed statement, or something that stands in it or around it."""
    first = report.found[0].finding
    statements = [node for node in ast.walk(ast.parse(one.solution)) if isinstance(node, ast.stmt)]
    around = [node for node in statements if _begins(node) <= mutant.line <= (node.end_lineno or 0)] or statements
    innermost = around[-1]  # the walk goes down level by level
    names = {node.name for node in around if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    if "__call__" in names:
        names |= {"forward", *map(str.lower, names)}  # some checks call it so, or by a model's name
    on_its_line = first.line is not None and _begins(innermost) <= first.line <= (innermost.end_lineno or 0)
    return on_its_line or bool(first.about and (first.about in ast.unparse(innermost) or first.about in names))


def _begins(node: ast.stmt) -> int:
    """Return the first line of a statement, which is that of its first decorator."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])


def main() -> int:
    """Grade the mutants of the exercises that are named, or of all, and print what passes."""
    parser = argparse.ArgumentParser(prog="python noxfile.py grading --", description=__doc__)
    parser.add_argument("exercises", nargs="*", metavar="SLUG", help="all of them by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many mutants at a time")
    arguments = parser.parse_args()
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[3] / ".cache" / "jax"))
    known = explained()
    total = rejected = named = equivalent = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for one in [exercise(name) for name in arguments.exercises] or exercises():
            found = list(mutants(one.solution))
            reports = list(pool.map(graded, [one] * len(found), found))
            pairs = list(zip(found, reports, strict=True))
            wrong = [(mutant, report) for mutant, report in pairs if not report.passed]
            unnamed = [(mutant, report) for mutant, report in wrong if not names_the_change(one, report, mutant)]
            print(f"{one.slug}: {len(wrong)} of {len(found)} rejected, {len(wrong) - len(unnamed)} named", flush=True)
            passing = [mutant for mutant, report in pairs if report.passed]
            for mutant in (mutant for mutant in passing if change_of(one, mutant) not in known):
                print(f"  passes, line {mutant.line}: {mutant}", flush=True)
            equivalent += sum(change_of(one, mutant) in known for mutant in passing)
            for mutant, report in unnamed:
                print(f"  line {mutant.line}: {mutant}: {report.found[0].finding.name}", flush=True)
            total, rejected = total + len(found), rejected + len(wrong)
            named += len(wrong) - len(unnamed)
    shares = f"{rejected / total:.1%} rejected, {named / rejected:.1%} of these named"
    print(f"{total} mutants: {shares}; of the {total - rejected} that pass {equivalent} are explained")
    return 0


if __name__ == "__main__":
    sys.exit(main())
