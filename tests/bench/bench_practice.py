"""The time of a check on the command line, as a ratio to a bare import of Flax NNX in the same run.

    python noxfile.py bench -- -k practice

Each round times the import and then the check of a solution; the first check, which fills the compilation cache, is
left out. The budget is two imports and what the attempt takes by itself beyond one.
"""

import os
import statistics
import subprocess
import sys
import time

import pytest

from nnx_state.practice.exercises import exercises

ROUNDS = 3


@pytest.fixture(scope="module")
def rows(request):
    """Collect the ratios and print them as a table at the end."""
    found = []
    yield found
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{'check of':18}{'import':>8}{'alone':>8}{'check':>8}{'check / import':>16}{'of the budget':>15}")
        for name, bare, alone, check in found:
            budget = 2 * bare + max(alone - bare, 0)
            print(f"{name:18}{bare:7.2f}s{alone:7.2f}s{check:7.2f}s{check / bare:16.2f}{check / budget:15.0%}")
        ratios = [check / bare for _, bare, _, check in found]
        print(f"median {statistics.median(ratios):.2f}, worst {max(ratios):.2f} of check / import")


def seconds(folder, *arguments):
    start = time.perf_counter()
    variables = os.environ | {"NNX_STATE_PROGRESS": str(folder / "progress.json")}
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=variables, cwd=folder)
    return time.perf_counter() - start


@pytest.mark.parametrize("exercise", exercises(), ids=lambda exercise: exercise.slug)
def test_practice(exercise, tmp_path, rows):
    attempt = str(tmp_path / exercise.filename)
    (tmp_path / exercise.filename).write_text(exercise.solution, "utf-8")
    check = ["-m", "nnx_state", "practice", "check", attempt]
    seconds(tmp_path, *check)
    ways = [["-c", "from flax import nnx"], [attempt], check]
    times = [[seconds(tmp_path, *way) for way in ways] for _ in range(ROUNDS)]
    rows.append((exercise.slug, *(statistics.median(column) for column in zip(*times, strict=True))))
