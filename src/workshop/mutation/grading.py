"""Tell whether grading notices that a solution has changed: ``python noxfile.py grading``.

Every mutant of every solution is graded. A mutant that passes is listed: it does what the problem asks all the same,
or the checks have a gap. Of the others it is counted how many get a diagnosis that names what was changed: its
statement, a name that stands in it, or the function around it.
"""

import argparse
import ast
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nnx_state.practice.exercises import Exercise, exercise, exercises
from nnx_state.practice.grading import Report, grade_source
from workshop.attempts import forked
from workshop.mutation.mutants import Mutant, mutants

LIMIT = 60.0  # seconds; several run at a time


def graded(one: Exercise, mutant: Mutant) -> Report:
    """Return what grading finds in a mutant."""
    return grade_source(one, mutant.source, LIMIT, forked)


def names_the_change(one: Exercise, report: Report, mutant: Mutant) -> bool:
    """Tell whether the primary diagnosis names the changed statement, or something that stands in it or around it."""
    first = report.found[0].finding
    statements = [node for node in ast.walk(ast.parse(one.solution)) if isinstance(node, ast.stmt)]
    around = [node for node in statements if node.lineno <= mutant.line <= (node.end_lineno or 0)] or statements
    innermost = around[-1]  # the walk goes down level by level
    functions = {node.name for node in around if isinstance(node, ast.FunctionDef)}
    names = functions | ({"forward"} if "__call__" in functions else set())
    on_its_line = first.line is not None and innermost.lineno <= first.line <= (innermost.end_lineno or 0)
    return on_its_line or bool(first.about and (first.about in ast.unparse(innermost) or first.about in names))


def main() -> int:
    """Grade the mutants of the exercises that are named, or of all, and print what passes."""
    parser = argparse.ArgumentParser(prog="python noxfile.py grading --", description=__doc__)
    parser.add_argument("exercises", nargs="*", metavar="SLUG", help="all of them by default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many mutants at a time")
    arguments = parser.parse_args()
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[3] / ".cache" / "jax"))
    total = rejected = named = 0
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for one in [exercise(name) for name in arguments.exercises] or exercises():
            found = list(mutants(one.solution))
            reports = list(pool.map(graded, [one] * len(found), found))
            pairs = list(zip(found, reports, strict=True))
            wrong = [(mutant, report) for mutant, report in pairs if not report.passed]
            unnamed = [(mutant, report) for mutant, report in wrong if not names_the_change(one, report, mutant)]
            print(f"{one.slug}: {len(wrong)} of {len(found)} rejected, {len(wrong) - len(unnamed)} named", flush=True)
            for mutant in (mutant for mutant, report in pairs if report.passed):
                print(f"  passes, line {mutant.line}: {mutant}", flush=True)
            for mutant, report in unnamed:
                print(f"  line {mutant.line}: {mutant}: {report.found[0].finding.name}", flush=True)
            total, rejected = total + len(found), rejected + len(wrong)
            named += len(wrong) - len(unnamed)
    print(f"{total} mutants: {rejected / total:.1%} rejected, {named / rejected:.1%} of these named")
    return 0


if __name__ == "__main__":
    sys.exit(main())
