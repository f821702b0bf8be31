"""What is made of the one list: each place of it, what is refused, and that nothing but the stale is written."""

import pytest
import yaml

from nnx_state._lessons import LESSONS, Lesson
from workshop.site import install, lessons, names, nav, order, tables
from workshop.site.makers import made
from workshop.site.tree import ROOT, Tree

LINEAR, PARAMS, READING = LESSONS[:3]


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_only_what_is_stale_is_written_and_folders_are_made(tree):
    (tree.root / "same.md").write_text("same\n", "utf-8")
    (tree.root / "other.md").write_text("other\n", "utf-8")
    before = (tree.root / "same.md").stat().st_mtime_ns
    for path in ("same.md", "other.md", "folder/new.md"):
        tree.make(path, "same\n")
    assert tree.write() == ["other.md", "folder/new.md"]
    assert tree.stale() == tree.write() == []
    assert (tree.root / "same.md").stat().st_mtime_ns == before
    assert sorted(path.name for path in tree.root.iterdir()) == ["folder", "other.md", "same.md"]


def test_a_file_that_differs_in_its_line_ends_alone_is_stale(tree):
    (tree.root / "a.md").write_bytes(b"a\r\n")
    tree.make("a.md", "a\n")
    assert tree.write() == ["a.md"]
    assert (tree.root / "a.md").read_bytes() == b"a\n"


def test_a_file_can_be_made_of_one_that_is_made(tree):
    assert not tree.has("a.md")
    tree.make("a.md", "made")
    assert tree.has("a.md")
    assert tree.read("a.md") == "made"


def test_a_table_stands_between_its_comments(tree):
    tree.make("a.md", f"Before.\n\n{tables.START}\n\n| old |\n\n{tables.END}\n\nAfter.\n")
    tables.fill(tree, "a.md", "| new |")
    assert tree.read("a.md") == f"Before.\n\n{tables.START}\n\n| new |\n\n{tables.END}\n\nAfter.\n"


@pytest.mark.parametrize(
    "page",
    [
        "",
        tables.START,
        tables.END,
        f"{tables.END}\n{tables.START}\n",
        f"{tables.START}\n{tables.END}\n" * 2,
        f"{tables.START}\n{tables.START}\n{tables.END}\n",
    ],
)
def test_a_page_without_a_place_for_its_table_is_refused(page, tree):
    tree.make("a.md", page)
    with pytest.raises(ValueError, match=r"a\.md: its table has no place\. What to do: "):
        tables.fill(tree, "a.md", "")


SETTINGS = f"""\
site_name: A  # kept

nav:
  - Home: index.md
  - Lessons:  {nav.MADE}
      - lessons/old.md
  - Help:
      - help.md  # kept
  - Claims:  {nav.MADE}

theme: b
"""


def test_the_sections_of_the_navigation_are_replaced_and_the_rest_is_kept():
    made = nav.with_sections(SETTINGS, {"Lessons": ["lessons/a.md", "lessons/b.md"], "Claims": ["claims/c.md"]})
    changed = SETTINGS.replace("      - lessons/old.md\n", "      - lessons/a.md\n      - lessons/b.md\n")
    assert made == changed.replace(f"Claims:  {nav.MADE}\n", f"Claims:  {nav.MADE}\n      - claims/c.md\n")


@pytest.mark.parametrize("settings", [SETTINGS.replace(nav.MADE, ""), SETTINGS.replace("Lessons", "Lesson"), ""])
def test_a_section_without_a_place_is_refused(settings):
    with pytest.raises(ValueError, match=r"the list Lessons has no place\. What to do: write `- Lessons:"):
        nav.with_sections(settings, {"Lessons": []})


def test_the_sections_are_in_the_order_of_their_lists(pytestconfig):
    text = (pytestconfig.rootpath / nav.SETTINGS).read_text("utf-8")
    listed = {name: pages for entry in yaml.load(text, Loader=yaml.BaseLoader)["nav"] for name, pages in entry.items()}
    for name, folder in {"Lessons": "lessons", "Exercises": "exercises", "Reference": "reference"}.items():
        assert listed[name] == [f"{folder}/index.md", *(f"{folder}/{lesson.slug}.md" for lesson in LESSONS)]
    assert listed["Claims"][:2] == ["claims/index.md", "claims/classic.md"]


PAGE = """\
---
description: A page.
minutes: 99
needs: [b]
hide: [toc]
---

# Another heading

Next to nothing.

```python
# A comment
```

Next lesson: [Old](old.md).
"""
MADE = f"""\
---
description: A page.
hide: [toc]
{lessons.MADE}
minutes: 1
needs: {{"linear": "Linear"}}
lesson: "2 of {len(LESSONS)}"
subtitle: "What is trained, and what is kept?"
tags: ["What is trained, and what is kept?"]
---

# Param and Variable

Next to nothing.

```python
# A comment
```

## Next

1. [Exercise: Param and Variable](../exercises/multi-param.md). Write it, and have each mistake named.
2. [Lesson 3: Reading and writing](reading-writing.md). {READING.question}
"""


def test_a_page_gets_what_follows_from_the_list_and_keeps_the_rest():
    assert lessons.page("multi-param.md", PAGE, PARAMS, READING) == MADE
    assert lessons.page("multi-param.md", MADE, PARAMS, READING) == MADE


@pytest.mark.parametrize("ending", ["", "\n## Next\n\n1. [Old](old.md)\n2. b\n", "\n\n\n## Next\n\n1. a\n"])
def test_a_page_ends_with_two_steps(ending):
    page = lessons.page("linear.md", f"---\na: b\n---\n\n# A\n\nLast words.\n{ending}", LINEAR, None)
    before, _, steps = page.partition("\n\n## Next\n\n")
    assert before.endswith("# Linear\n\nLast words.")
    exercise, last = steps.splitlines()
    assert exercise.startswith("1. [Exercise: Linear](../exercises/linear.md).")
    assert last == f"2. {lessons.LAST}"


@pytest.mark.parametrize(
    ("repository", "line"),
    [("", "pip install ."), ("https://a.test/b", 'pip install "nnx-state @ git+https://a.test/b"')],
)
def test_pages_install_from_the_repository_where_there_is_one(tmp_path, repository, line):
    tree = Tree(tmp_path)
    for path in install.PAGES:
        tree.make(path, "# A\n\n```sh\npip install old\n```\n\nText.\n")
    install.make(tree, repository)
    assert [tree.read(path) for path in install.PAGES] == [f"# A\n\n```sh\n{line}\n```\n\nText.\n"] * 2
    tree.make(install.PAGES[0], "# A\n")
    with pytest.raises(ValueError, match=r"docs/index\.md: it has 0 lines to install with\. What to do: write"):
        install.make(tree)


@pytest.mark.parametrize("page", ["# A\n", "---\na: b\n---\n# A\n", "---\na: b\n---\n\nText.\n", ""])
def test_a_page_that_begins_otherwise_is_refused(page):
    with pytest.raises(ValueError, match=r"docs/a\.md: it begins otherwise than a lesson\. What to do: .* `# Linear`"):
        lessons.page("docs/a.md", page, LINEAR, None)


@pytest.mark.parametrize(
    ("body", "minutes"),
    [
        ("word " * 150, 1),
        ("word " * 151, 2),
        ("```python\n" + "x\n" * 12 + "```\n", 1),
        ("```{.python continuation}\n" + "x\n" * 13 + "```\n", 2),
        ("```text\n" + "x\n" * 100 + "```\nword", 1),
        ("`" + "x " * 200 + "` word", 1),
        (f"---\ndescription: {'word ' * 200}\n---\n\nword", 1),
    ],
)
def test_time_is_that_of_words_and_lines_of_code(body, minutes):
    assert lessons.minutes(body) == minutes


def test_a_row_names_a_lesson_its_question_and_what_comes_before():
    assert lessons.row(2, PARAMS, 10) == (
        "| 2. [Param and Variable](multi-param.md) | What is trained, and what is kept? | 10 | 1 |"
    )
    assert lessons.row(1, Lesson("a", "A", "`b | c`?"), 2) == r"| 1. [A](a.md) | `b \| c`? | 2 |  |"


def test_public_names_are_those_of_all_in_the_order_of_ruff():
    assert names.exported('"""Doc."""\nimport a\n\n__all__ = ["b", "A", "B", "CONST"]\n') == ["CONST", "A", "B", "b"]
    assert names.exported("import a\n") == []


def test_the_stub_imports_each_name_from_its_module():
    many = [f"a_rather_long_name_{number}" for number in range(5)]
    stub = names.stub({PARAMS: ["B", "a"], LINEAR: many, READING: []})
    listed = "".join(f'    "{name}",\n' for name in ["B", "a", *many])
    imported = "".join(f"    {name},\n" for name in many)
    assert stub == (
        f"{names.MADE}\nfrom .linear import (\n{imported})\nfrom .multi_param import B, a\n\n__all__ = [\n{listed}]\n"
    )


def test_a_name_that_two_modules_export_is_refused():
    with pytest.raises(ValueError, match=r"linear\.py and reading_writing\.py have `a` in __all__\. What to do: "):
        names.stub({LINEAR: ["a"], READING: ["a"]})


def test_the_index_links_each_name_and_lesson():
    row = "| [`nnx_state.linear`](linear.md) | [`Linear`][nnx_state.linear.Linear] | [Linear](../lessons/linear.md) |"
    assert names.table({LINEAR: ["Linear"]}).splitlines()[2:] == [row]


def lesson(slug, *needs, title="T", question="Q?"):
    return Lesson(slug, title, question, needs)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ([lesson("A")], "'A' is no slug. What to do: write small letters"),
        ([lesson("a_b")], "'a_b' is no slug."),
        ([lesson("a"), lesson("a")], "a stands there twice. What to do: take one of the two out."),
        ([lesson("a", title=" ")], "a lacks words. What to do: write its title and its question."),
        ([lesson("a", question="")], "a lacks words."),
        ([lesson("a", "c"), lesson("b")], "a needs c, which is no lesson. What to do: name one of a, b."),
        (
            [lesson("a", "b"), lesson("b")],
            "a needs b, which does not come before it. What to do: move a below b, or take b out of what it needs.",
        ),
        ([lesson("a", "a")], "a needs a, which does not come before it."),
        (
            [lesson("a"), lesson("b", "a"), lesson("c", "b"), lesson("d", "c", "a")],
            "d needs a, as c does, which it needs. What to do: take a out.",
        ),
    ],
)
def test_a_wrong_list_is_told_with_what_mends_it(bad, complaint):
    (found,) = order.complaints(bad)
    assert found.startswith(f"src/nnx_state/_lessons.py: {complaint}")


def test_the_list_is_right():
    assert order.complaints(LESSONS) == []


def test_the_links_to_the_first_lesson_lead_there(tree, monkeypatch):
    for path in (lessons.HOME, lessons.INDEX):
        link = "[Start with the first lesson](old.md){ .button }"
        places = "\n".join("\n".join(tables.comments(name)) for name in ("table", "list of ways", "list of terms"))
        tree.make(path, f"{places}\n\n{link}\n\n[The old one](old.md)\n")
    monkeypatch.setattr(lessons, "LESSONS", LESSONS[1:3])
    lessons.make(tree)
    ends = {lessons.HOME: "lessons/multi-param.md", lessons.INDEX: "multi-param.md"}
    for path, target in ends.items():
        link = f"[Start with the first lesson]({target}){{ .button }}"
        assert tree.read(path).endswith(f"\n\n{link}\n\n[The old one](old.md)\n")


def test_what_a_lesson_lacks_keeps_nothing_else_from_being_made(tmp_path, monkeypatch):
    """A list with one lesson more, in a copy that has no file of it."""
    for path in (
        "mkdocs.yml",
        "docs/index.md",
        "docs/install.md",
        *(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs/pitfalls").glob("*.md")),
        "docs/lessons/index.md",
        "docs/reference/index.md",
        "docs/claims/index.md",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(Tree().read(path), "utf-8")
    with_one_more = (*LESSONS, lesson("gates", "checkpoints"))
    for module in ("makers", "nav", "names", "lessons", "downloads"):
        monkeypatch.setattr(f"workshop.site.{module}.LESSONS", with_one_more)
    tree = made(tmp_path)
    assert "      - lessons/gates.md\n" in tree.read("mkdocs.yml")
    assert "docs/lessons/gates.md" not in tree.made
    assert "docs/exercises/cost.md" in tree.made
