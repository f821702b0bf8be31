"""The lessons as notebooks: each runs in Jupyter from its first cell to its last."""

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

from workshop.pages import read
from workshop.site.downloads import FOLDER, notebook

DOCS = Path(__file__).parents[2] / "docs"
LESSONS = sorted(path for path in DOCS.glob("lessons/*.md") if path.stem != "index")

PAGE = """\
---
description: A page.
---

# Page

See [another](other.md#here), [this](#there), [home](../index.md) and [Flax](https://flax.readthedocs.io).

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

Next: [a notebook](../notebooks/drift.py).
"""


def sources(made: nbformat.NotebookNode) -> list[tuple[str, str, list[str]]]:
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in made.cells]


def test_a_page_becomes_cells():
    assert sources(notebook(PAGE, "lessons/page.md")) == [
        ("markdown", "# Page\n\nSee another, this, home and [Flax](https://flax.readthedocs.io).", []),
        ("code", "x = 1\nprint(x)", []),
        ("markdown", "**Answer**", []),
        ("code", "x.y", ["raises-exception"]),
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


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(lesson, tmp_path):
    made = nbformat.read(DOCS / FOLDER / f"{lesson.stem}.ipynb", as_version=4)
    nbformat.validate(made)
    client = nbclient.NotebookClient(made, timeout=120, resources={"metadata": {"path": tmp_path}})
    client.execute(env=os.environ | {"JAX_PLATFORMS": "cpu"})
    cells = [cell for cell in made.cells if cell.cell_type == "code"]
    raised = [any(output.output_type == "error" for output in cell.outputs) for cell in cells]
    assert raised == [block.raises for block in read(lesson)]
