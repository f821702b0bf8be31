"""The Markdown that is published beside each page, and `llms.txt`."""

from pathlib import Path

import pytest
from mkdocs.config import load_config

from workshop.site import markdown

SITE = "https://a.test/b/"
SHOWN = {"nnx_state": "reference/index.md", "nnx_state.linear": "reference/linear.md"}


@pytest.mark.parametrize(
    ("text", "standalone"),
    [
        ("[x](other.md)", f"[x]({SITE}lessons/other/index.md)"),
        ("[x](../index.md#first)", f"[x]({SITE}index.md#first)"),
        ("[x](../claims/index.md?from=1&to=2)", f"[x]({SITE}claims/index.md?from=1&to=2)"),
        ("[x](../notebooks/drift.py)", f"[x]({SITE}notebooks/drift/index.md)"),
        ("[x](https://flax.test/a.md), [y](#here)", "[x](https://flax.test/a.md), [y](#here)"),
        ("[`x`][nnx_state.linear.Linear.x]", f"[`x`]({SITE}reference/linear/index.md)"),
        ("[x][nnx_state.linear_algebra]", f"[x]({SITE}reference/index.md)"),
        ('![x](../assets/figures/y.svg "z")', "> **Figure.** x z"),
        ("```python\nx[0](y.md)\n```\n\n[x](y.md)\n", f"```python\nx[0](y.md)\n```\n\n[x]({SITE}lessons/y/index.md)\n"),
    ],
)
def test_links_are_addresses_of_markdown(text, standalone):
    assert markdown.standalone(text, "lessons/page.md", SITE, SHOWN) == standalone


def test_a_name_that_no_page_shows_is_text():
    assert markdown.standalone("[x][nnx_state.cost.nbytes]", "page.md", SITE, {}) == "[x]"


def test_where_a_page_shows_a_module_stands_its_source():
    text = "# API\n\n::: workshop.site.picture\n    options:\n      heading_level: 2\n\n    more\n\nText.\n"
    source = Path(markdown.__file__).with_name("picture.py").read_text("utf-8")
    assert markdown.standalone(text, "page.md", SITE, {}) == f"# API\n\n````python\n{source}````\n\nText.\n"


def test_a_module_that_is_none_is_an_error():
    with pytest.raises(ModuleNotFoundError, match=r"a page shows workshop\.none, which is no module: correct"):
        markdown.standalone("::: workshop.none\n", "page.md", SITE, {})


NOTEBOOK = """\
# %% [markdown]
# # Watch `x`
#
# It moves.
#
# It stops.

# %%
x = 1
"""


def test_every_page_and_the_overview_are_written(tmp_path):
    docs, site = tmp_path / "docs", tmp_path / "site"
    for folder in (docs / "notebooks", site / "lessons/one", site / "notebooks/watch"):
        folder.mkdir(parents=True)
    (docs / "lessons").mkdir()
    (docs / "index.md").write_text("---\ndescription: About NNX.\n---\n\n# Home\n")
    (docs / "lessons/index.md").write_text("# The path\n\nIn order.\n")
    (docs / "lessons/one.md").write_text("---\ndescription: The first.\nminutes: 3\n---\n\n# One\n\nText.\n")
    (docs / "notebooks/watch.py").write_text(NOTEBOOK)
    (tmp_path / "mkdocs.yml").write_text("site_name: NNX\n")
    nav = ["index.md", {"Lessons": ["lessons/index.md", {"One": "lessons/one.md"}]}, {"See": "notebooks/watch.py"}]
    config = load_config(str(tmp_path / "mkdocs.yml"), docs_dir=str(docs), site_url=SITE, nav=nav)
    pages = markdown.publish(config, site)
    files = {path.relative_to(site).as_posix(): path.read_text() for path in site.rglob("*.*")}
    assert files.pop("llms.txt") == markdown.overview(pages, "NNX", SITE)
    assert files["lessons/one/index.md"] == (docs / "lessons/one.md").read_text()
    assert files["notebooks/watch/index.md"] == "# Watch `x`\n\nIt moves.\n\nIt stops.\n\n```python\nx = 1\n```\n"
    assert sorted(files) == ["index.md", "lessons/index.md", "lessons/one/index.md", "notebooks/watch/index.md"]


OVERVIEW = f"""\
# NNX

> About NNX.

## Home

- [Home]({SITE}index.md): About NNX.

## Lessons

- [The path]({SITE}lessons/index.md): In order. And then?
- [The one]({SITE}lessons/one/index.md): First.
"""


def test_the_overview_has_each_page_once_under_its_section():
    pages = [
        markdown.Page("Home", "index.md", "---\ndescription: About NNX.\n---\n# Home\n"),
        markdown.Page("Lessons", "lessons/index.md", "# The path\n\nIn order.\nAnd then?\n\nMore.\n"),
        markdown.Page("Lessons", "lessons/one.md", "# The `one`\n\nFirst."),
    ]
    assert markdown.overview(pages, "NNX", SITE) == OVERVIEW


def test_a_page_without_a_heading_is_an_error():
    with pytest.raises(ValueError, match=r"page\.md has no heading: write one"):
        markdown.overview([markdown.Page("Home", "page.md", "Text.\n")], "NNX", SITE)
