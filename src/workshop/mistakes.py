"""Show a wrong attempt whole, or draft the entry of a new one: ``python noxfile.py mistake``."""

import argparse
import difflib
import sys
from pathlib import Path

from nnx_state._outcome import COULD_NOT_RUN, DONE, NOT_YET, RefusedError
from nnx_state.practice import reports
from nnx_state.practice.attempts import Attempt, AttemptError
from nnx_state.practice.exercises import Exercise, exercise
from nnx_state.practice.grading import grade, grade_source
from workshop.drafts import entry

COMMAND = "python noxfile.py mistake --"


def named(one: Exercise) -> str:
    """Return the names of all wrong attempts at an exercise."""
    names = "\n".join(f"  {attempt.diagnosis} {attempt.spelling}".rstrip() for attempt in one.wrong.values())
    return f"{one.slug} has {len(one.wrong)} wrong attempts:\n\n{names}\n\nFor one: {COMMAND} {one.slug} NAME"


def chosen(one: Exercise, diagnosis: str, spelling: str) -> Attempt:
    """Return the wrong attempt of a diagnosis and a spelling; without a spelling the plain one, or else the first.

    Raises:
        RefusedError: If there is none.
    """
    found = {attempt.spelling: attempt for attempt in one.wrong.values() if attempt.diagnosis == diagnosis}
    if not found:
        names = sorted({attempt.diagnosis for attempt in one.wrong.values()})
        near = ", ".join(difflib.get_close_matches(diagnosis, names) or names)
        raise RefusedError(f"No wrong attempt at {one.slug} is named {diagnosis!r}: choose one of {near}.")
    if spelling and spelling not in found:
        known = ", ".join(sorted(found.keys() - {""})) or "none"
        raise RefusedError(f"{diagnosis} has no spelling {spelling!r}: choose one of {known}.")
    return found[spelling] if spelling in found else next(iter(found.values()))


def shown(one: Exercise, attempt: Attempt) -> str:
    """Return an attempt whole, its lines numbered; marks tell what differs from the solution."""
    lines = []
    number = 0
    for compared in difflib.ndiff(one.solution.splitlines(), attempt.source.splitlines()):
        mark, line = compared[0], compared[2:]
        if mark == "?":  # it points at the characters that differ
            continue
        number += mark != "-"
        lines.append(f"{'' if mark == '-' else number:>4} {mark} {line}".rstrip())
    legend = "The lines with + are its own, in the place of those with -, which the solution has."
    return "\n".join([*lines, "", legend])


def show(one: Exercise, attempt: Attempt) -> int:
    """Print an attempt, what grading says of it, and how to see its other spellings; tell whether it gets its name."""
    print(f"{attempt.name}, a wrong attempt at {one.slug}:\n\n{shown(one, attempt)}\n", flush=True)
    report = grade_source(one, attempt.source)
    given = report.found[0].finding.name if report.found else "no diagnosis"
    right = given == attempt.diagnosis
    print(f"It gets {given}{'' if right else f' and not {attempt.diagnosis}: mend the attempt or the check'}.\n")
    print(reports.text(report))
    others = [other.spelling or "the plain one" for other in one.wrong.values() if other.diagnosis == attempt.diagnosis]
    if len(others) > 1:
        print(
            f"\nIts spellings: {', '.join(others)}. For one: {COMMAND} {one.slug} {attempt.diagnosis} --spelling NAME"
        )
    return DONE if right else NOT_YET


def draft(one: Exercise, path: Path, spelling: str) -> int:
    """Print what grading says of an edited solution, and the entry that makes an attempt of it.

    Raises:
        RefusedError: If the file cannot be read, gets no verdict, or is an attempt of the exercise already.
    """
    report = grade(one, path)
    if report.undecided:
        raise RefusedError(reports.text(report))
    print(f"{reports.text(report)}\n\n{entry(report, spelling)}", flush=True)
    return DONE


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Show a wrong attempt whole, or draft a new one.")
    parser.add_argument("exercise", metavar="SLUG", help="such as multi-param; alone, it lists the names")
    parser.add_argument("diagnosis", metavar="NAME", nargs="?", default="", help="such as count-param")
    parser.add_argument("--spelling", metavar="SPELLING", default="", help="which of several, such as alias")
    parser.add_argument("--draft", metavar="FILE", type=Path, help="an edited copy of the solution to make an entry of")
    arguments = parser.parse_args()
    try:
        one = exercise(arguments.exercise)
        if arguments.draft:
            return draft(one, arguments.draft, arguments.spelling)
        if not arguments.diagnosis:
            print(named(one))
            return DONE
        return show(one, chosen(one, arguments.diagnosis, arguments.spelling))
    except (AttemptError, RefusedError) as error:
        print(error, file=sys.stderr)
        return COULD_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())
