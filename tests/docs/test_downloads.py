"""The lessons as notebooks: each runs in Jupyter from its first cell to its last."""

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

from workshop.pages import read
from workshop.site import downloads
from workshop.site.downloads import FOLDER, notebook

DOCS = Path(__file__).parents[2] / "docs"
LESSONS = sorted(path for path in DOCS.glob("lessons/*.md") if path.stem != "index")

PAGE = """\
---
description: A page.
---

# Page

See [another](other.md#here), [this](#there), [home](../index.md) and [Flax](https://flax.readthedocs.io).

![It shows `x`.](../assets/figures/page.svg "It says y.")

```python
x = 1
print(x)
```

```{.text .output}
1
```

/// details | Flax 0.12.8 prints

```{.text .output .older}
one
```

///

/// answer | Answer

```{.python continuation .raises}
x.y
```

```{.text .output}
AttributeError: 'int' object has no attribute 'y'
```

///

//// html | div.pair

/// wrong | a number

```{.python .fresh}
y = 1
```

///

/// right | a text

```{.python continuation}
y = "1"
```

///

////

Next: [a notebook](../notebooks/drift.py).
"""


OPENING = "# Page\n\nSee another, this, home and [Flax](https://flax.readthedocs.io)."


def sources(made: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in made.cells]


def test_a_page_becomes_cells():
    assert sources(notebook(PAGE, "lessons/page.md")) == [
        ("markdown", f"{OPENING}\n\n> **Figure.** It shows `x`. It says y.", []),
        ("markdown", downloads.IN_A_CLONE, []),
        ("code", "x = 1\nprint(x)", []),
        ("markdown", "**Answer**", []),
        ("code", "x.y", ["raises-exception"]),
        ("markdown", "**✕ Wrong: a number**", []),
        ("code", "y = 1", []),
        ("markdown", "**✓ Right: a text**", []),
        ("code", 'y = "1"', []),
        ("markdown", "Next: a notebook.", []),
    ]


def test_with_addresses_links_lead_to_the_site_and_the_package_is_installed():
    made = notebook(PAGE, "lessons/page.md", "https://github.com/a/b", "https://a.test/b/")
    first, install, *_, last = sources(made)
    assert "[another](https://a.test/b/lessons/other/#here)" in first[1]
    assert "[this](https://a.test/b/lessons/page/#there)" in first[1]
    assert "[home](https://a.test/b/)" in first[1]
    assert '    %pip install --quiet "nnx-state @ git+https://github.com/a/b"' in install[1]
    assert last[1] == "Next: [a notebook](https://a.test/b/notebooks/drift/)."


def code(made: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in made.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_the_cells_of_a_notebook_are_the_blocks_of_its_page(lesson):
    """What ran with the page need not run again as a notebook, if it is the same program."""
    made = nbformat.read(DOCS / FOLDER / f"{lesson.stem}.ipynb", as_version=4)
    nbformat.validate(made)
    assert "pip install ." in made.cells[1].source
    cells = [(cell.source, "raises-exception" in cell.metadata.get("tags", [])) for cell in code(made)]
    assert cells == [(block.code.rstrip(), block.raises) for block in read(lesson)]


def could_differ(lesson: Path) -> bool:
    """Tell whether a notebook could run otherwise than its page.

    Its cells share their names, even where a block of the page starts afresh. Jupyter runs an event loop, which Orbax
    has to get along with; one lesson that saves shows that it does, and that Jupyter goes on after what must raise.
    """
    return lesson.stem == "checkpoints" or any(not block.continues for block in read(lesson)[1:])


@pytest.mark.parametrize("lesson", [*filter(could_differ, LESSONS)], ids=lambda lesson: lesson.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(lesson, tmp_path):
    made = nbformat.read(DOCS / FOLDER / f"{lesson.stem}.ipynb", as_version=4)
    client = nbclient.NotebookClient(made, timeout=120, resources={"metadata": {"path": tmp_path}})
    client.execute(env=os.environ | {"JAX_PLATFORMS": "cpu"})
    raised = [any(output.output_type == "error" for output in cell.outputs) for cell in code(made)]
    assert raised == [block.raises for block in read(lesson)]
