"""How long an author waits for the first page and for an edit, beside `mkdocs serve` in the same run.

    python noxfile.py bench -- -k serve

An edit is timed from the moment that it is written to the one in which a browser that was told to reload shows it.
CPU seconds are those of the process that serves: a busy machine stretches them less than the clock's.
All happens in a copy of the tree, whose first start finds no notebook that ran.
"""

import shutil
import statistics
import time
from pathlib import Path

import psutil
import pytest

from harness.server import Server

ROOT = Path(__file__).parents[2]
# Of each edit: the file, a text that it has, the same with the mark of the edit, and the page that shows it.
EDITS = {
    "a lesson": ("docs/lessons/linear.md", "\n\n# ", "\n\n# {} ", "lessons/linear/"),
    "its title on another page": ("docs/lessons/linear.md", "\n\n# ", "\n\n# {} ", "lessons/homes/"),
    "a page of the reference": ("docs/reference/linear.md", "\n\n# ", "\n\n# {} ", "reference/linear/"),
    "the page Claims": ("docs/claims/index.md", "\n\n# ", "\n\n# {} ", "claims/"),
    "a notebook, before it runs": ("docs/notebooks/drift.py", "# # ", "# # {} ", "notebooks/drift/"),
    "a docstring": ("src/nnx_state/linear.py", '"""', '"""{} ', "reference/linear/"),
    "the navigation": ("mkdocs.yml", "- Home", "- Home {}", ""),
    "the style sheet": ("docs/assets/site.css", "{", "{{ /* {} */", "assets/site.css"),
}
# How to serve, and which edits are timed, how many times: to `mkdocs serve` all edits are alike, and take long.
WAYS = {
    "mkdocs serve": (("mkdocs", "serve", "--livereload"), ["a lesson"], 1),
    "serve": (("workshop.site.serve",), list(EDITS), 3),
}


@pytest.fixture(scope="module")
def waits(request):
    """Collect seconds and CPU seconds by way and by what was waited for, and print them as a table at the end."""
    found = {way: {} for way in WAYS}
    yield found
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        for way, rows in found.items():
            print(f"\n\n{way:36}{'seconds':>10}{'of CPU':>10}")
            for what, (seconds, of_cpu) in rows.items():
                print(f"{what:36}{seconds:10.1f}{of_cpu:10.1f}")
        plain, ours = found.values()
        for what in plain.keys() & ours.keys():
            ratios = [theirs / mine for theirs, mine in zip(plain[what], ours[what], strict=True)]
            print("\n{}: {:.1f} times as fast, with 1/{:.1f} of the CPU".format(what, *ratios))


def cpu(server):
    """Return the CPU seconds that a server took so far, without those of notebooks."""
    times = psutil.Process(server.process.pid).cpu_times()
    return times.user + times.system


def first_page(command, folder):
    """Start a server, and return it with the seconds and CPU seconds until it shows the home page."""
    start = time.perf_counter()
    server = Server(*command, folder=folder)
    server.get("")
    return server, (time.perf_counter() - start, cpu(server))


def shown(server, path, before, after, page):
    """Edit a file, and return the seconds and CPU seconds until a page shows the edit."""
    mark = f"Edited{time.monotonic_ns()}"
    edited = path.read_text("utf-8").replace(before, after.format(mark), 1)
    assert mark in edited, f"{path} has no {before!r}"
    server.get("")  # it builds nothing now
    start, start_cpu = time.perf_counter(), cpu(server)
    path.write_text(edited, "utf-8")
    server.wait(page, mark)
    return time.perf_counter() - start, cpu(server) - start_cpu


@pytest.mark.parametrize("way", WAYS)
def test_waits(way, waits, tmp_path, monkeypatch):
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.delenv(name)  # conftest.py sets them for tests, and a terminal does not
    for name in ("docs", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mkdocs.yml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    command, edits, rounds = WAYS[way]
    server, waits[way]["the first page"] = first_page(command, tmp_path)
    for what in edits:
        name, *edit = EDITS[what]
        times = [shown(server, tmp_path / name, *edit) for _ in range(rounds)]
        waits[way][what] = tuple(map(statistics.median, zip(*times, strict=True)))
    server.interrupt()
    server, waits[way]["the first page, started again"] = first_page(command, tmp_path)
    server.interrupt()
