"""The static census: what must hold of pages, topics and names before anything runs. Each message names the fix."""

import ast
import itertools
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import nnx_state
from workshop.pages import OTHER_FENCES, PYTHON_FENCES, Block, docstrings, fence_lines, orphans, read

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = Path(nnx_state.__file__).parent
MARKDOWN = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NOTEBOOKS = sorted(DOCS.glob("notebooks/*.py"))
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.with_name("__init__.py").exists())
LESSONS = sorted(page for page in DOCS.glob("lessons/*.md") if page.stem != "index")
SOURCES = {page for page in DOCS.glob("claims/*.md") if page.stem != "index"}
SHOWN = {*SOURCES, *DOCS.glob("reference/*.md")}  # these show sources and docstrings
TEACHING = [page for page in MARKDOWN if page not in SHOWN]


BLOCKS = [[], ["answer"], ["details"], ["html"], ["note"], ["warning"], ["tab"]]  # what may follow ///


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE.parent if path.is_relative_to(PACKAGE) else ROOT).as_posix()


def fence_complaints(name: str, text: str) -> list[str]:
    """Return a message for each fence that is indented or whose info string is not one of ours."""
    known = PYTHON_FENCES | OTHER_FENCES
    complaints = []
    for line, before, info in fence_lines(text):
        if before:
            fix = "What to do: start it at the first column; a note is `/// note | Title` … `///`."
            complaints.append(f"{name}:{line}: this fence is indented. {fix}")
        if info not in known:
            fix = f"What to do: write one of {', '.join(sorted(known))}."
            complaints.append(f"{name}:{line}: the info string {info!r} is not one of ours. {fix}")
    outside = re.sub(r"^```.*?^```", lambda fence: "\n" * fence[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    for line, words in enumerate(map(str.split, outside.splitlines()), start=1):
        if words[:1] in (["!!!"], ["???"], ["???+"], ["==="]) or (words[:1] == ["///"] and words[1:2] not in BLOCKS):
            fix = f"What to do: write `/// TYPE | Title` with one of {', '.join(name for (name,) in BLOCKS[1:])}."
            complaints.append(f"{name}:{line}: {' '.join(words[:2])} is no block of ours. {fix}")
    return complaints


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_fences_of_pages_are_flush_left_and_spelled_as_agreed(path):
    complaints = fence_complaints(name_of(path), path.read_text("utf-8"))
    complaints += [
        f"{name_of(path)}:{line}: this output belongs to no block. What to do: put it below the block that prints it."
        for line in orphans(path)
    ]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_fences_of_docstrings_are_flush_left_and_spelled_as_agreed(path):
    for line, _, doc in docstrings(path.read_text("utf-8")):
        complaints = fence_complaints(f"{name_of(path)}:{line}", doc)
        assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- item\n\n    ```python\n    x = 1\n    ```\n", "page.md:3: this fence is indented"),
        ("!!! note\n\n    Text.\n", "page.md:1: !!! note is no block of ours"),
        ("Text.\n\n??? answer\n", "page.md:3: ??? answer is no block of ours"),
        ('=== "Tab"\n', 'page.md:1: === "Tab" is no block of ours'),
        ("```text\n!!!\n```\n\n/// hint | Title\n\n///\n", "page.md:5: /// hint is no block of ours"),
        ("> ```python\n> x = 1\n> ```\n", "page.md:1: this fence is indented"),
        ("- ```python\n  x = 1\n  ```\n", "page.md:1: this fence is indented"),
        ("```py3\n```\n", "page.md:1: the info string 'py3' is not one of ours"),
        ("```Python\n```\n", "page.md:1: the info string 'Python' is not one of ours"),
        ("```pycon\n```\n", "page.md:1: the info string 'pycon' is not one of ours"),
        ("```\n```\n", "page.md:1: the info string '' is not one of ours"),
        ("```{.python continued}\n```\n", "page.md:1: the info string '{.python continued}' is not one of ours"),
        ('```{.python title="no notest"}\n```\n', "is not one of ours"),
        ("~~~python retry:3\n~~~\n", "page.md:1: the info string 'python retry:3' is not one of ours"),
        ("```text\n```python\n```\n\n```py\n```\n", "page.md:5: the info string 'py' is not one of ours"),
    ],
)
def test_a_fence_out_of_place_is_named(text, complaint):
    (found,) = fence_complaints("page.md", text)
    assert complaint in found
    assert "What to do: " in found


@pytest.mark.parametrize("path", [*MARKDOWN, *MODULES], ids=name_of)
def test_every_output_shows_something(path):
    for block in read(path):
        shown = block.output.text.replace("…", "").strip() if block.output else "nothing is printed"
        assert shown, f"{block}: What to do: leave less to `…`, which stands for any text."


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_what_an_older_release_prints_is_shown_where_it_differs(path):
    same = [str(block) for block in read(path) if block.older and block.older.text == block.output.text]
    assert not same, f"What to do: take the fold below {', '.join(same)} out."


@pytest.mark.parametrize("path", [*MARKDOWN, *MODULES, *NOTEBOOKS], ids=name_of)
def test_nothing_is_marked_as_not_to_be_tested(path):
    assert "notest" not in path.read_text("utf-8"), "What to do: remove `notest` and let the block run."


@pytest.mark.parametrize("path", [*MARKDOWN, *MODULES, *NOTEBOOKS], ids=name_of)
def test_no_code_reads_the_deprecated_value(path):
    codes = {str(block): block.code for block in read(path)}
    if path.suffix == ".py":
        codes[name_of(path)] = path.read_text("utf-8")
    for place, code in codes.items():
        attributes = {node.attr for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute)}
        assert "value" not in attributes, f"{place}: What to do: write variable[...] instead of variable.value."


def names_imported(blocks: tuple[Block, ...]) -> set[str]:
    """Return what the blocks use of this package; the package itself counts under its own name."""
    names = set()
    for node in (node for block in blocks for node in ast.walk(ast.parse(block.code))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nnx_state":
            names |= {"nnx_state", *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "nnx_state" for alias in node.names):
            names.add("nnx_state")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nnx_state":
            names.add(node.attr)
    return names


@pytest.mark.parametrize("path", [*TEACHING, *NOTEBOOKS], ids=name_of)
def test_every_page_has_code_that_imports_the_package(path):
    assert "nnx_state" in names_imported(read(path)), "What to do: show it on the package: `from nnx_state import …`."


def test_every_public_name_is_used_on_some_page():
    used = set().union(*(names_imported(read(path)) for path in [*TEACHING, *NOTEBOOKS]))
    assert set(nnx_state.__all__) - used == set(), "What to do: use the name on a page, or take it out of __all__."


@pytest.mark.parametrize("lesson", LESSONS, ids=name_of)
def test_every_topic_has_its_page_module_test_and_exercise(lesson):
    module = lesson.stem.replace("-", "_")
    files = [
        f"src/nnx_state/{module}.py",
        f"tests/test_{module}.py",
        f"docs/exercises/{lesson.name}",
        f"docs/reference/{lesson.name}",
    ]
    missing = [file for file in files if not (ROOT / file).exists()]
    assert not missing, f"What to do: write {', '.join(missing)}."
    assert f"]({lesson.name})" in (DOCS / "reference" / "index.md").read_text("utf-8"), "What to do: add its row."


def nav_entries() -> list[dict[str, list[str]] | str]:
    return yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader=yaml.BaseLoader)["nav"]


def test_every_page_is_in_the_nav():
    nav = str(nav_entries())
    pages = {page.relative_to(DOCS).as_posix() for page in [*DOCS.rglob("*.md"), *NOTEBOOKS]}
    assert sorted(page for page in pages if f"'{page}'" not in nav) == [], "What to do: add it to `nav` in mkdocs.yml."


SECTIONS = ["Predict", "Run", "See", "When it goes wrong", "Check yourself"]


@pytest.mark.parametrize("lesson", LESSONS, ids=name_of)
def test_a_lesson_follows_the_template(lesson):
    text = lesson.read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS, "What to do: write these sections, in this order."
    definition = text.split("\n# ")[1].split("\n\n")[1]
    assert re.search(r"\*\w+\*", definition), "What to do: open with one sentence that sets the term in italics."
    assert re.match(r"^Next.*\[.*\]\(.*\)", text.splitlines()[-1]), "What to do: end with one link to what is next."


def front_matter(page: Path) -> dict[str, object]:
    return yaml.safe_load(page.read_text("utf-8").split("---\n")[1])


def title(page: Path) -> str:
    return re.search(r"^# (.*)$", page.read_text("utf-8"), re.MULTILINE)[1]


def minutes(lesson: Path) -> int:
    """Return how long a lesson takes, at 150 words of prose a minute and five seconds for a line of code."""
    lines = sum(len(block.code.splitlines()) for block in read(lesson))
    return math.ceil(len(prose(lesson).split()) / 150 + lines * 5 / 60)


@pytest.mark.parametrize("lesson", LESSONS, ids=name_of)
def test_a_lesson_says_how_long_it_takes_and_what_it_needs(lesson):
    facts = front_matter(lesson)
    assert facts.get("minutes") == minutes(lesson), f"What to do: write `minutes: {minutes(lesson)}` in front matter."
    order = lessons_in_order()
    earlier = set(order[: order.index(lesson.stem)])
    needs = facts.get("needs")
    assert isinstance(needs, list), "What to do: write `needs: [slug, …]` in front matter, `[]` for none."
    assert set(needs) <= earlier, f"What to do: name lessons that come before, not {set(needs) - earlier}."


def lessons_in_order() -> list[str]:
    (lessons,) = [entry["Lessons"] for entry in nav_entries() if "Lessons" in entry]
    return [Path(page).stem for page in lessons[1:]]


def test_each_lesson_ends_with_a_link_to_the_next():
    order = lessons_in_order()
    lasts = {slug: (DOCS / f"lessons/{slug}.md").read_text("utf-8").splitlines()[-1] for slug in order}
    wrong = [slug for slug, following in itertools.pairwise(order) if f"]({following}.md)" not in lasts[slug]]
    assert not wrong, "What to do: link to the next lesson in the nav from the last line."


def test_the_path_lists_every_lesson():
    order = lessons_in_order()
    wanted = []
    for number, slug in enumerate(order, start=1):
        facts = front_matter(DOCS / f"lessons/{slug}.md")
        name = title(DOCS / f"lessons/{slug}.md").split(":")[0]
        needs = ", ".join(str(order.index(need) + 1) for need in facts["needs"])
        wanted.append([f"{number}. [{name}]({slug}.md)", str(facts["minutes"]), needs])
    lines = (DOCS / "lessons/index.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if re.match(r"\| \d", line)]
    shown = [[lesson, time, needs] for lesson, _question, time, needs in rows]
    assert shown == wanted, "What to do: write these rows."


AVOIDED = re.compile(r"\b(simply|just|obviously|easy|easily|we|our|us|let's)\b", re.IGNORECASE)


def prose(path: Path) -> str:
    """Return a page without its fences and inline code."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)


@pytest.mark.parametrize("path", MARKDOWN, ids=name_of)
def test_the_prose_avoids_the_words_that_the_style_avoids(path):
    found = AVOIDED.findall(prose(path))
    assert not found, f"What to do: say it without {', '.join(found)}."


def test_the_code_of_pages_is_formatted(tmp_path):
    """Ruff leaves fences with braces alone, so the blocks are given to it as files of their own."""
    for number, block in enumerate(block for path in [*MARKDOWN, *MODULES, *NOTEBOOKS] for block in read(path)):
        file = tmp_path / f"{number:03}-{block.path.stem}-line-{block.line}.py"
        file.write_text(f"{block.code.rstrip()}\n", "utf-8")
    command = [sys.executable, "-m", "ruff", "format", "--diff", "--isolated", "--line-length=80", "."]
    ruff = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ruff.returncode == 0, f"What to do: format these blocks.\n{ruff.stdout}"


def test_the_table_on_the_home_page_says_what_its_run_printed():
    text = (DOCS / "index.md").read_text("utf-8")
    _, *rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| ")]
    outputs = [block.output.text for block in read(DOCS / "index.md") if block.output]
    (printed,) = [output for output in outputs if "retraces" in output]
    facts = {kind: cells for kind, *cells in (line.split() for line in printed.splitlines()[1:])}
    assert facts["array"] == facts["data"]  # they share a row
    kinds = ["param", "variable", "own", "array", "static"]
    assert [row[2:-1] for row in rows] == [facts[kind] for kind in kinds]
