"""Treat `nnx-state practice` as nobody planned, and say what came of it; it ends with 1 if there are findings.

``python noxfile.py fuzz`` edits attempts at random, lets programs of one learner take turns at random, and ends or
fails them at each call that changes a file; ``-- edits``, ``-- turns`` or ``-- faults`` does one of these.
"""

import argparse
import os
import random
import sys
from pathlib import Path

from nnx_state.practice.exercises import exercise, exercises
from workshop.fuzzing import faults, interleavings

PARTS = ("edits", "turns", "faults")


def main() -> int:
    """Do what the arguments say, and print figures."""
    parser = argparse.ArgumentParser(prog="python noxfile.py fuzz --", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all of them by default")
    parser.add_argument("--seed", type=int, help="what all choices follow from; by default another one each time")
    parser.add_argument("--edits", type=int, default=100, help="how many edits of the attempts at each exercise")
    parser.add_argument("--exercise", action="append", metavar="SLUG", help="the exercises, by default all of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many exercises at a time")
    parser.add_argument("--turns", type=int, default=500, help="how many times two programs take turns")
    parser.add_argument(
        "--of", type=int, default=1, metavar="N", help="take one of N faults at random, by default each"
    )
    parser.add_argument("--fault", action="append", choices=(faults.KILL, *faults.ERRORS), help="by default all")
    parser.add_argument("--verb", action="append", choices=faults.VERBS, help="by default all")
    parser.add_argument("--by-python", action="store_true", help="use Python's own hooks though there is strace")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no part is named {', '.join(sorted(unknown))}: name some of {', '.join(PARTS)}.")
    parts = arguments.parts or PARTS
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    found = 0
    if "turns" in parts:  # before there are threads: this forks
        found += interleavings.main(seed, arguments.turns)
    if "faults" in parts:
        by_the_kernel = not arguments.by_python and faults.kernel_helps()
        runner = faults.by_the_kernel if by_the_kernel else faults.by_python
        kinds = tuple(arguments.fault or (faults.KILL, *faults.ERRORS))
        found += faults.main(runner, tuple(arguments.verb or faults.VERBS), kinds, arguments.of, seed)
    if "edits" in parts:
        from workshop.fuzzing import edits  # it imports what starts threads

        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[3] / ".cache" / "jax"))
        chosen = [exercise(name) for name in arguments.exercise or ()] or exercises()
        found += edits.main(chosen, seed, arguments.edits, arguments.jobs)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
