"""The static census finds nothing in the repository, and finds each fault that is made on purpose."""

import pytest

from nnx_state._lessons import Lesson
from workshop.census import __main__ as command
from workshop.census import checks, claims, code, fences, lessons, made, names, pages, pitfalls, terms
from workshop.census.repository import Repository


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_repository_lacks_nothing(check):
    found = list(check(Repository()))
    assert not found, "\n".join(found)


@pytest.fixture
def repository(tmp_path):
    """Return a function that writes files into an empty repository."""

    def write(files):
        for path, text in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return Repository(tmp_path)

    return write


VERDICTS = "src/nnx_state/claims/verdicts.json"
PYTHON = "```python\n{}\n```\n"
FOLDED = "/// details | Flax 0.12.8 prints\n\n```{{.text .output .older}}\n{}\n```\n\n///\n"
TWO_OUTPUTS = f"{PYTHON.format('print(1)')}\n```{{{{.text .output}}}}\n{{}}\n```\n\n{FOLDED}"
SHOWN = PYTHON.format("import nnx_state")
RAISES = "```{.python .raises}\nint('x')\n```\n\n```{.text .output}\nValueError: invalid literal\n```\n"
HOME = """\
| Kind | a | b |
|---|---|---|
| Param | yes | no |
| Variable | no | no |
| Own | no | yes |
| Array | no | no |
| Static | - | - |

```python
print()
```

```{.text .output}
retraces a b
param yes no
variable no no
own no yes
array no no
data no no
static - -
```
"""
PREDICTION = "Which?\n\n1. A\n2. B\n\n/// answer | Answer\n\n1. **No.** It would.\n2. **Yes.** It does.\n\n///\n"
NAV = "".join(f"  - {name}:  # written by `python noxfile.py generate`\n" for name in pages.nav.sections())


@pytest.mark.parametrize(
    ("check", "files", "complaint"),
    [
        (code.code_can_be_read, {"docs/a.md": PYTHON.format("a b")}, "docs/a.md:2: Python cannot read it: "),
        (code.code_can_be_read, {"src/nnx_state/__init__.py": "", "src/nnx_state/a.py": "a b"}, "src/nnx_state/a.py: "),
        (code.nothing_is_left_untested, {"docs/a.md": "```python notest\n```\n"}, "docs/a.md: it holds `notest`"),
        (code.code_reads_no_value, {"docs/a.md": PYTHON.format("a.value")}, "docs/a.md:2: it reads `.value`"),
        (code.code_reads_no_value, {"docs/notebooks/a.py": "# %%\nb.value\n"}, "docs/notebooks/a.py: it reads"),
        (code.code_of_pages_is_formatted, {"docs/a.md": PYTHON.format("a  =  1")}, "docs/a.md/line-2.py"),
        (code.code_of_pages_is_formatted, {"docs/a.md": "```{.python .raises}\na  =  1\n```\n"}, "docs/a.md/line-2.py"),
        (
            claims.claims_were_measured,
            {VERDICTS: '{"sources": "", "releases": {}}'},
            f"{VERDICTS}: it was measured",
        ),
        (fences.fences_are_spelled_as_agreed, {"docs/a.md": "```py\n```\n"}, "docs/a.md:1: the info string 'py'"),
        (
            fences.fences_are_spelled_as_agreed,
            {"src/nnx_state/__init__.py": "", "src/nnx_state/a.py": '"""A.\n\n```py\n```\n"""\n'},
            "src/nnx_state/a.py:1:3: the info string 'py'",
        ),
        (fences.outputs_belong_to_blocks, {"docs/a.md": "```{.text .output}\n1\n```\n"}, "docs/a.md:1: this output"),
        (
            fences.outputs_show_something,
            {"docs/a.md": PYTHON.format("print(1)") + "\n```{.text .output}\n…\n```\n"},
            "docs/a.md:2: its output shows nothing",
        ),
        (fences.outputs_show_something, {"docs/a.md": TWO_OUTPUTS.format("1", "…")}, "docs/a.md:2: its output shows"),
        (fences.outputs_of_releases_differ, {"docs/a.md": TWO_OUTPUTS.format("1", "1")}, "docs/a.md:2: Flax 0.12.8"),
        (names.pages_show_the_package, {"docs/a.md": PYTHON.format("import flax")}, "docs/a.md: no block imports"),
        (
            names.public_names_are_on_pages,
            {"docs/a.md": SHOWN, "src/nnx_state/__init__.py": "", "src/nnx_state/a.py": '__all__ = ["b"]\n'},
            "src/nnx_state/a.py: no page uses b",
        ),
        (pages.pages_are_in_the_nav, {"mkdocs.yml": f"nav:\n{NAV}", "docs/a.md": ""}, "docs/a.md: it is in no list"),
        (
            pages.pages_are_in_the_nav,
            {"mkdocs.yml": f"nav:\n{NAV}", "docs/lessons/gates.md": ""},
            "What to do: add its lesson to src/nnx_state/_lessons.py",
        ),
        (pages.prose_avoids_words, {"docs/a.md": "It is just so.\n"}, "docs/a.md: the style avoids just"),
        (pages.home_page_says_what_its_run_printed, {"docs/index.md": HOME.replace("| yes", "| no")}, "docs/index.md"),
        (
            pages.home_page_says_what_its_run_printed,
            {"docs/index.md": HOME.replace("data no no", "data no yes")},
            "docs/index.md: its table differs",
        ),
        (
            pitfalls.exceptions_have_entries,
            {"docs/pitfalls/x.md": "", "docs/index.md": RAISES, "docs/upgrading.md": ""},
            "docs/index.md:2: docs/pitfalls does not explain `ValueError: invalid literal`",
        ),
        (
            pitfalls.entries_lead_to_proofs,
            {
                "docs/pitfalls/x.md": "### `ValueError: no` { #no }\n\n[a](../a.md#b)\n",
                "docs/a.md": f"## B\n\n{RAISES}",
            },
            "docs/pitfalls/x.md#no: nothing that it shows or links to raises it",
        ),
        (
            pitfalls.entries_lead_to_proofs,
            {"docs/pitfalls/x.md": "### It is slow { #slow }\n\n[a](../a.md#b)\n", "docs/a.md": "## B\n"},
            "docs/pitfalls/x.md#slow: below a.md#b there is no block",
        ),
        (
            pitfalls.entries_lead_to_proofs,
            {"docs/pitfalls/x.md": "### `ValueError: no` { #no }\n\n[a](../a.md#b)\n"},
            "docs/pitfalls/x.md#no: below a.md#b there is no block",
        ),
        (
            pitfalls.entries_lead_to_proofs,
            {"docs/pitfalls/x.md": "### A { #a }\n\nText.\n"},
            "#a: it shows no program, and links to none",
        ),
        (
            pitfalls.entries_stand_once,
            {"docs/pitfalls/x.md": "### A { #a }\n\nText.\n\n### B { #a }\n"},
            "docs/pitfalls: `a` stands there 2 times",
        ),
        (
            pitfalls.causes_are_asked_for,
            {"docs/pitfalls/x.md": "### A { #a }\n\n**Which one?** B?\n\n" + "".join(f"#### {n}\n\n" for n in "1234")},
            "docs/pitfalls/x.md#a: it has 4 causes, of which an answer names 3",
        ),
        (
            pitfalls.entries_name_their_lesson,
            {"docs/pitfalls/x.md": "### A { #a }\n\n### B { #b }\n\n<!-- no lesson: an argument of a layer -->\n"},
            "docs/pitfalls/x.md#a: it names no lesson",
        ),
        (
            lessons.lessons_follow_the_template,
            {"docs/lessons/a.md": "---\n---\n\n# A\n\nAn *a*.\n\n## Predict\n"},
            "docs/lessons/a.md: its sections are others",
        ),
        (
            lessons.lessons_follow_the_template,
            {"docs/lessons/a.md": "---\n---\n\n# A\n\nAn a.\n\n" + "".join(f"## {one}\n" for one in lessons.SECTIONS)},
            "docs/lessons/a.md: it sets no term in italics",
        ),
        *(
            (fences.blocks_that_start_afresh_say_so, {"docs/a.md": wrong}, complaint)
            for wrong, complaint in {
                SHOWN + "\n" + SHOWN: "docs/a.md:5: this block starts afresh below others, or not. What to do: write",
                SHOWN.replace("python", "{.python .fresh}"): "docs/a.md:1: this block starts afresh below others, or",
            }.items()
        ),
        (
            lessons.predictions_fit_a_telephone,
            {"docs/lessons/a.md": f"{PYTHON.format('x = ' + '1' * 57)}\n## Run\n\n{PYTHON.format('y = ' + '1' * 57)}"},
            "docs/lessons/a.md:2: this line of the prediction has 61 characters.",
        ),
        *(
            (lessons.predictions_are_choices, {"docs/lessons/a.md": damaged}, "docs/lessons/a.md: its prediction")
            for damaged in (
                "Which?\n\n/// answer | Answer\n\nB.\n",
                PREDICTION.replace("\n2. B", ""),
                PREDICTION.replace("1. **No.** It", "1. It"),
                PREDICTION.replace("**No.**", "**Yes.**"),
                PREDICTION.replace("**Yes.**", "**No.**"),
                PREDICTION.replace("\n2. B", "\n2. B\n\nHow so?"),
            )
        ),
        (
            lessons.reference_shows_its_module,
            {"docs/reference/homes.md": "::: nnx_state.linear\n"},
            "docs/reference/homes.md: it does not show its module. What to do: write `::: nnx_state.homes`.",
        ),
        (
            terms.terms_are_explained_first,
            {"docs/lessons/multi-param.md": "# A\n\nA leaf.\n", "docs/lessons/homes.md": "# B\n\nA *leaf*, leaf.\n"},
            "docs/lessons/multi-param.md:3: the first use of 'leaf' on the path. What to do: explain it there",
        ),
        (
            lessons.nothing_is_left_to_write,
            {"docs/lessons/homes.md": "# Homes\n\nWRITE: a word.\n"},
            "docs/lessons/homes.md:3: not written yet. What to do: write a word.",
        ),
        (
            lessons.nothing_is_left_of_a_lesson,
            {"src/nnx_state/practice/gates/checks.py": ""},
            "src/nnx_state/practice/gates: it belongs to no lesson",
        ),
        (
            lessons.nothing_is_left_of_a_lesson,
            {"docs/assets/notebooks/gates.ipynb": ""},
            "docs/assets/notebooks/gates.ipynb: it belongs to no lesson",
        ),
    ],
)
def test_a_fault_is_named_once_with_what_mends_it(repository, check, files, complaint):
    (found,) = check(repository(files))
    assert complaint in found
    assert "What to do: " in found


@pytest.mark.parametrize(
    ("check", "files"),
    [
        (pages.home_page_says_what_its_run_printed, {"docs/index.md": HOME}),
        (fences.blocks_that_start_afresh_say_so, {"docs/a.md": SHOWN + SHOWN.replace("python", "{.python .fresh}")}),
        (lessons.predictions_are_choices, {"docs/lessons/a.md": PREDICTION}),
        (pages.prose_avoids_words, {"docs/a.md": "The word `just`.\n\n```text\njust\n```\n"}),
        (pages.pages_are_in_the_nav, {"mkdocs.yml": f"nav:\n{NAV}  - a.md\n", "docs/a.md": ""}),
        (
            terms.terms_are_explained_first,
            {"docs/lessons/multi-param.md": "# A\n\nA *leaf*.\n", "docs/lessons/homes.md": "# B\n\nA leaf.\n"},
        ),
        (
            lessons.lessons_follow_the_template,
            {
                "docs/lessons/a.md": "---\n---\n\n# A\n\nAn *a*.\n\n"
                + "".join(f"## {one}\n" for one in (*lessons.SECTIONS[:-2], lessons.OPTIONAL, *lessons.SECTIONS[-2:]))
            },
        ),
        (names.pages_show_the_package, {"docs/a.md": SHOWN, "docs/reference/a.md": ""}),
        (
            names.public_names_are_on_pages,
            {"docs/a.md": PYTHON.format("import nnx_state\nnnx_state.b"), "src/nnx_state/a.py": '__all__ = ["b"]\n'},
        ),
    ],
)
def test_what_is_right_gets_no_complaint(repository, check, files):
    assert list(check(repository({"src/nnx_state/__init__.py": ""} | files))) == []


def test_a_lesson_that_lacks_files_is_named_with_the_command_that_lays_them_out(repository, monkeypatch):
    monkeypatch.setattr(lessons, "LESSONS", [Lesson("gates", "Gates", "Which gate?")])
    (found,) = lessons.lessons_have_their_files(repository({"tests/test_gates.py": ""}))
    assert "docs/lessons/gates.md" in found
    assert "src/nnx_state/gates.py" in found
    assert "src/nnx_state/practice/gates/checks.py" in found
    assert "tests/test_gates.py" not in found
    assert "python noxfile.py new -- gates lays it out" in found


def test_where_code_cannot_be_read_nothing_else_is_said(repository):
    (found,) = checks.complaints(repository({"docs/a.md": PYTHON.format("a b")}))
    assert "Python cannot read it" in found


def test_a_wrong_list_is_the_one_complaint_about_what_is_made(repository, monkeypatch):
    monkeypatch.setattr("workshop.site.makers.LESSONS", [Lesson("gates", "Gates", "Which?", ("doors",))])
    (found,) = made.made_files_are_up_to_date(repository({}))
    assert "gates needs doors, which is no lesson. What to do: " in found


@pytest.mark.parametrize(
    ("found", "printed"),
    [
        ([], "Nothing is missing or stale.\n"),
        (["a: it is b.", "c: it is d."], "a: it is b.\nc: it is d.\n2 missing or stale.\n"),
    ],
)
def test_the_command_prints_each_complaint_and_their_number(found, printed, monkeypatch, capsys):
    monkeypatch.setattr(command, "complaints", lambda repository: iter(found))
    with pytest.raises(SystemExit) as end:
        command.main()
    assert capsys.readouterr().out == printed
    assert bool(end.value.code) == bool(found)


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
    (found,) = fences.complaints("page.md", text)
    assert complaint in found
    assert "What to do: " in found
