"""How long an author waits for the first page and for an edit, beside `mkdocs serve` in the same run.

    python noxfile.py bench -- -k serve

An edit is timed from the moment that it is written to the one in which a browser that was told to reload shows it.
CPU seconds are those of the process that serves: a busy machine stretches them less than seconds on the clock.
Everything happens in a copy of the tree, whose first start finds nothing that was kept.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Where the mark of an edit goes: a file, a text that it has, what the edit makes of it; and the page that shows it.
EDITS = {
    "a lesson": ("docs/lessons/linear.md", "\n# ", "\n# {} ", "lessons/linear/"),
    "its title, on another page": ("docs/lessons/linear.md", "\n# ", "\n# {} ", "lessons/homes/"),
    "a page of the reference": ("docs/reference/linear.md", "\n# ", "\n# {} ", "reference/linear/"),
    "the page of claims": ("docs/claims/index.md", "\n# ", "\n# {} ", "claims/"),
    "a notebook": ("docs/notebooks/drift.py", "# # ", "# # {} ", "notebooks/drift/"),
    "a docstring": ("src/nnx_state/linear.py", '"""', '"""{} ', "reference/linear/"),
    "the navigation": ("mkdocs.yml", "- Home: ", "- Home {}: ", ""),
    "the style sheet": ("docs/assets/site.css", "{", "{{ /* {} */", "assets/site.css"),
}
WAYS = {
    "mkdocs serve": (("mkdocs", "serve", "--livereload"), 1),  # each edit takes as long as its first page
    "serve": (("workshop.site.serve",), 3),
}


@pytest.fixture(scope="module")
def waits(request):
    """Collect what is measured of each way, and print it as a table at the end."""
    found = {way: {} for way in WAYS}
    yield found
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{'':32}{'mkdocs serve':>20}{'serve':>20}{'ratio':>10}{'of CPU':>8}")
        plain, ours = found.values()
        for what, (seconds, cpu) in ours.items():
            row = f"{what:32}"
            if what in plain:
                row += "{:10.1f} s {:5.1f} CPU".format(*plain[what])
            ...


class Clock:
    ...
