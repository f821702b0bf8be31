"""The figures of the lessons: drawn from the programs of the pages, told in words, light, and up to date."""

import gzip
import json
from xml.etree import ElementTree

import pytest
from markdown import Markdown

from nnx_state import _pages
from workshop.figures.__main__ import draw
from workshop.figures.drawing import WIDTH, Drawing, length
from workshop.figures.inlined import FOLDER, LINE
from workshop.figures.program import Program
from workshop.site import figures
from workshop.site.tree import ROOT, Tree

FILES = sorted((ROOT / "docs" / FOLDER).glob("*.svg"))
LESSONS = ROOT / "docs" / "lessons"
SVG = "{http://www.w3.org/2000/svg}"


def test_there_are_twelve_figures_at_least():
    assert len(FILES) >= 12


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_figure_is_light_and_has_a_name_a_description_and_texts(file):
    assert len(gzip.compress(file.read_bytes(), 9)) <= 12_000
    root = ElementTree.parse(file).getroot()
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    for attribute, tag in (("aria-labelledby", "title"), ("aria-describedby", "desc")):
        element = root.find(f"{SVG}{tag}")
        assert element.get("id") == root.get(attribute)
        assert len(element.text.split()) >= 3
    drawn = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert {"rect", "text"} <= drawn <= {"svg", "title", "desc", "g", "rect", "path", "text"}
    assert all(text.text.strip() for text in root.iter(f"{SVG}text"))


def test_the_page_of_a_figure_shows_it_with_its_words():
    for file in FILES:
        shown = [
            found for found in LINE.finditer((LESSONS / f"{file.stem}.md").read_text("utf-8")) if found[3] == file.stem
        ]
        assert len(shown) == 1
        described = ElementTree.parse(file).find(f"{SVG}desc").text
        assert shown[0][1].replace("`", "") == described
        assert shown[0][4]


def test_in_a_terminal_a_figure_is_told_in_words():
    for file in FILES:
        shown = _pages.page(file.stem)
        figure = LINE.search((LESSONS / f"{file.stem}.md").read_text("utf-8"))
        assert f"\n> **Figure.** {figure[1]} {figure[4]}\n" in shown
        assert "![" not in shown


PAGE = "# A\n\nText.\n\n![old](../assets/figures/multi-param.svg)\n\nMore.\n"


@pytest.fixture
def copy(tmp_path):
    """A copy of one lesson, whose count has another name."""
    lessons = tmp_path / "docs/lessons"
    lessons.mkdir(parents=True)
    page = (LESSONS / "multi-param.md").read_text("utf-8")
    (lessons / "multi-param.md").write_text(page.replace("self.count", "self.seen_by"), "utf-8")
    return tmp_path


def test_a_figure_follows_the_program_of_its_page(copy):
    figure = draw(copy / "docs/lessons", "multi-param")
    assert ">seen_by</text>" in figure.svg
    assert "seen_by" in figure.description
    assert ">count</text>" not in figure.svg


def test_what_is_stale_is_made_anew_and_then_kept(copy, monkeypatch):
    drawn = {"svg": "<svg/>\n", "description": "What is shown.", "caption": "What it `says`."}
    calls = []
    monkeypatch.setattr(figures, "_draw", lambda lessons, names: calls.append(names) or dict.fromkeys(names, drawn))
    monkeypatch.setattr(figures, "CACHE", copy / "cache")
    line = '![What is shown.](../assets/figures/multi-param.svg "What it `says`.")'
    for _ in range(2):
        tree = Tree(copy)
        figures.make(tree)
        assert tree.read(f"docs/{FOLDER}/multi-param.svg") == "<svg/>\n"
        assert line in tree.read("docs/lessons/multi-param.md").splitlines()
    assert tree.stale() == [f"docs/{FOLDER}/multi-param.svg", "docs/lessons/multi-param.md"]
    assert calls == [["multi-param"]]
    tree.write()
    assert tree.stale() == []
    page = copy / "docs/lessons/multi-param.md"
    page.write_text(page.read_text("utf-8").replace("seen_by", "other"), "utf-8")
    figures.make(Tree(copy))
    assert calls == [["multi-param"]] * 2  # the program has changed
    page.write_text(page.read_text("utf-8").replace("Two questions", "Two other questions"), "utf-8")
    figures.make(Tree(copy))
    assert calls == [["multi-param"]] * 2  # prose has, and no program


def test_a_figure_that_nothing_draws_or_shows_is_refused(tmp_path):
    (tmp_path / "docs/lessons").mkdir(parents=True)
    page = tmp_path / "docs/lessons/none.md"
    page.write_text(PAGE.replace("multi-param", "none"), "utf-8")
    with pytest.raises(ValueError, match=r"nothing draws the figure none\. What to do: write .*none\.py"):
        figures.make(Tree(tmp_path))
    page.write_text("# A\n", "utf-8")
    (tmp_path / "docs" / FOLDER).mkdir(parents=True)
    (tmp_path / "docs" / FOLDER / "old.svg").write_text("<svg/>", "utf-8")
    with pytest.raises(ValueError, match=r"no page shows old of docs/assets/figures\. What to do: show it, or remove"):
        figures.make(Tree(tmp_path))


def test_a_failure_to_draw_says_why(tmp_path):
    lessons = tmp_path / "docs/lessons"
    lessons.mkdir(parents=True)
    (lessons / "multi-param.md").write_text("# A\n\n```python\nx = 1\n```\n", "utf-8")
    with pytest.raises(ValueError, match="figures cannot be drawn: ValueError: no block of the page binds MultiParam"):
        figures.drawn(lessons, ["multi-param"])


def test_in_html_a_figure_stands_in_the_page(tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    svg = '<svg viewBox="0 0 1 1">\n<text>a *b* _c_</text>\n</svg>\n'
    (tmp_path / FOLDER / "one.svg").write_text(svg, "utf-8")
    convert = Markdown(
        extensions=["workshop.figures.inlined"], extension_configs={"workshop.figures.inlined": {"docs": str(tmp_path)}}
    ).convert
    html = convert('Text.\n\n![x](../assets/figures/one.svg "It `is` <so>.")\n\nMore.')
    caption = "<figcaption>It <code>is</code> &lt;so&gt;.</figcaption>"
    assert html == f'<p>Text.</p>\n<figure class="drawing">\n{svg}{caption}\n</figure>\n\n<p>More.</p>'
    missing = convert("![x](../assets/figures/two.svg)")
    assert missing == '<p><img alt="x" src="../assets/figures/two.svg" /></p>'  # which the build refuses


def test_a_text_that_does_not_fit_is_refused():
    drawing = Drawing()
    with pytest.raises(ValueError, match=r"'a long name' is .* wide and begins at .*, for 14 of 340"):
        drawing.box(0, 0, 20, 20, text="a long name")
    with pytest.raises(ValueError, match=r"'beyond' is .* wide and begins at 330"):
        drawing.text((330, 0), "beyond", align="start")
    assert length("wide") < length("wider") < length("wider", "strong") < WIDTH


@pytest.mark.parametrize("words", ["a [b]", "a (b)", 'a "b"', "a\nb"])
def test_words_that_would_end_the_line_are_refused(words):
    for texts in ((words, "A."), ("A.", words)):
        with pytest.raises(ValueError, match=r"a-figure: its words hold .* What to do: say it without"):
            Drawing().figure("a-figure", "Title", *texts)


def test_a_figure_is_as_high_as_what_is_in_it():
    drawing = Drawing()
    drawing.box(0, 10, 30, 40, "param", "a<b")
    drawing.arrow((30, 30), (60, 70), "own")
    drawing.arrow((60, 70), (60, 80))
    svg = drawing.figure("a", "A title", "It shows.", "It says.").svg
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox") == "-1 -1 342 82"
    assert [text.text for text in root.iter(f"{SVG}text")] == ["a<b"]
    assert [shape.get("class") for shape in root.iter() if shape.tag in {f"{SVG}rect", f"{SVG}path"}] == [
        "param",
        "own",
        None,
    ]


BLOCKS = """\
```python
import math
import json
x = print("never run")
```

```{.python continuation}
y = math.floor(2.5)
```

```{.python continuation .raises}
z = 1 / 0
```

```{.python continuation}
def z():
    return y
```
"""


def test_of_a_program_the_blocks_that_bind_a_name_are_run(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(BLOCKS, "utf-8")
    program = Program(page)
    found = program.names("y", "z")
    assert found.z() == found.y == 2
    assert found.json is json
    assert not hasattr(found, "x")
    assert program.names("x").x is None
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="no block of the page binds w: name what the page has now"):
        program.names("w")
