"""The harness is held against pages that are wrong on purpose: each must fail, and say what to do."""

from pathlib import Path
from types import SimpleNamespace

import markdown
import pytest
from pytest_markdown_docs import _runners

from harness.census import blocks_in
from harness.order import FIRST
from harness.site import BuildError, built_site

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return an empty project with this project's conftest and pytest settings.

    A run of it in this process registers a runner of its own, builds a site of its own, and is no worker of this run.
    """
    monkeypatch.setattr(_runners, "_default_runner", None)
    monkeypatch.setattr(_runners, "_registered_runners", {})
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    settings = (ROOT / "pyproject.toml").read_text("utf-8").split("[tool.pytest]\n")[1].split("\n[")[0]
    settings = settings.replace('pythonpath = ["tests"]', f"pythonpath = ['{ROOT / 'tests'}']")
    pytester.makepyprojecttoml(f"[tool.pytest]\n{settings}")
    pytester.makeconftest((ROOT / "conftest.py").read_text("utf-8"))
    return pytester


def page(project: pytest.Pytester, text: str, name: str = "docs/page.md") -> Path:
    """Write a page in which ~~~ stands for the backticks of a fence."""
    path = project.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace("~~~", "```"), "utf-8")
    return path


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    unneeded = [f"-pno:{plugin}" for plugin in ("benchmark", "cacheprovider", "hypothesispytest")]  # they start slowly
    settings = [f"--basetemp={project.path / 'temporary'}", "--as-on=newest", *unneeded]
    return project.runpytest_inprocess(*settings, *(arguments or ("docs",)))


def fails_with(result: pytest.RunResult, *messages: str) -> None:
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str()
    for message in messages:
        assert message in text


GOOD = """\
# Page

~~~python
values = [1]
print("one:", values)
~~~

~~~{.text .output}
one: [1]
~~~

~~~{.python continuation .raises}
values[3]
~~~

~~~{.text .output}
IndexError: list index out of range
~~~

/// details | Folded

~~~{.python continuation}
values.append(2)
assert values == [1, 2]
~~~

///
"""


def test_a_page_that_says_what_happens_passes(project):
    page(project, GOOD)
    run(project).assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("right", "wrong", "messages"),
    [
        (
            "one: [1]",
            "one: [2]",
            ["docs/page.md:8: the output of this block has changed", "+one: [1]"],
        ),
        (
            "out of range",
            "elsewhere",
            ["docs/page.md:16: the output of this block has changed", "noxfile.py outputs"],
        ),
        ("IndexError: list", "KeyError: list", ["docs/page.md:16:", "-KeyError", "+IndexError"]),
        ("values[3]\n", "values[0]\n", ["docs/page.md:13: this block is marked `.raises`, but it", "remove the mark"]),
        (" .raises", "", ["docs/page.md:13: this block failed", "values[3]", "IndexError: list index out of range"]),
        ('print("one:", values)\n', "", ["docs/page.md:7: the output of this block has changed", "-one: [1]"]),
        ("== [1, 2]", "== [2]", ["docs/page.md:24: this block failed", "assert values == [2]"]),
        ("values.append(2)", "import warnings; warnings.warn('old')", ["docs/page.md:23:", "UserWarning: old"]),
        ("values.append(2)", "print(2", ["SyntaxError", "line 23"]),
    ],
    ids=["output", "error-text", "error-type", "no-error", "unmarked-error", "no-print", "assert", "warning", "syntax"],
)
def test_a_page_that_says_something_else_fails(project, right, wrong, messages):
    assert right in GOOD
    page(project, GOOD.replace(right, wrong))
    fails_with(run(project), *messages)


def test_a_print_without_its_output_fails(project):
    page(project, "~~~python\nprint(1)\n~~~\n")
    fails_with(
        run(project), "docs/page.md:2: this block prints, but the page shows no output", "python noxfile.py outputs"
    )


def test_a_snippet_that_passes_only_on_its_second_run_fails(project):
    page(project, '~~~python\nif "again" not in globals():\n    again = True\n    raise TypeError("first run")\n~~~\n')
    fails_with(run(project), "docs/page.md:4: this block failed", "TypeError: first run")


def test_a_page_sees_no_names_of_another_page(project):
    page(project, "~~~python\nname = 1\n~~~\n", "docs/a.md")
    page(project, "~~~python\nassert name == 1\n~~~\n", "docs/b.md")
    fails_with(run(project), "docs/b.md:2: this block failed", "NameError")


def test_a_block_without_continuation_starts_afresh(project):
    page(project, "~~~python\nname = 1\n~~~\n\n~~~python\nassert name == 1\n~~~\n")
    fails_with(run(project), "docs/page.md:6: this block failed", "NameError")


def test_an_elision_stands_for_any_text_and_nothing_else(project):
    page(project, '~~~python\nprint("from here\\nto there")\n~~~\n\n~~~{.text .output}\nfrom … there\n~~~\n')
    run(project).assert_outcomes(passed=1)
    page(project, '~~~python\nprint("from here\\nto there")\n~~~\n\n~~~{.text .output}\nfrom … nowhere\n~~~\n')
    fails_with(run(project), "docs/page.md:5: the output of this block has changed")


COUNTED = """\
~~~python
from pathlib import Path
log = Path("log").open("a")
def note(line): print(line, file=log, flush=True)
note(1)
~~~

~~~{.python continuation}
note(2)
~~~

~~~{.python continuation .raises}
note(3)
raise KeyError
~~~

~~~{.text .output}
KeyError
~~~

~~~{.python continuation}
note(4)
log.close()
~~~
"""


@pytest.mark.parametrize("order", [["-p", "no:randomly"], ["--randomly-seed=1"], ["-n", "2"]], ids=" ".join)
def test_each_line_of_a_page_runs_once(project, order):
    page(project, COUNTED)
    page(project, "~~~python\nprint(1)\n~~~\n\n~~~{.text .output}\n1\n~~~\n", "docs/other.md")
    run(project, *order, "docs").assert_outcomes(passed=5)
    assert (project.path / "log").read_text().split() == ["1", "2", "3", "4"]


def test_tests_start_before_pages(project):
    page(project, COUNTED)
    page(project, "def test_it():\n    pass\n", "tests/test_it.py")
    started = [line.split("::")[0] for line in run(project, "docs", "tests", "-v").outlines if "PASSED" in line]
    assert started == ["tests/test_it.py", *["docs/page.md"] * 4]


def test_the_files_that_start_first_are_there():
    assert [name for name in FIRST if not (ROOT / name).exists()] == [], "What to do: mend the names in order.py."


def test_a_block_that_is_selected_alone_runs_after_its_chain(project):
    page(project, COUNTED)
    run(project, "docs/page.md", "-k", "line:21").assert_outcomes(passed=1, deselected=3)
    assert (project.path / "log").read_text().split() == ["1", "2", "3", "4"]


def test_blocks_after_a_failure_do_not_run_and_say_why(project):
    page(project, "~~~python\nassert False\n~~~\n\n~~~{.python continuation}\nx = 1\n~~~\n")
    result = run(project)
    result.assert_outcomes(failed=2)
    fails_with(result, "docs/page.md:6: this block did not run, since docs/page.md:2 failed before it")


DOCSTRING = '''\
"""A module."""


def double(x):
    """Return twice a number.

    ~~~python
    from tool.module import double

    print(double(2))
    ~~~

    ~~~{.text .output}
    4
    ~~~
    """
    return 2 * x
'''


def test_docstrings_run_and_name_their_true_lines(project):
    page(project, '"""A package."""\n', "src/tool/__init__.py")
    path = page(project, DOCSTRING, "src/tool/module.py")
    run(project, "src").assert_outcomes(passed=1)
    path.write_text(path.read_text().replace("print(double(2))", "assert double(2) == 5"))
    fails_with(run(project, "src"), "src/tool/module.py:10: this block failed", "assert double(2) == 5")
    path.write_text(path.read_text().replace("assert double(2) == 5", "print(double(3))"))
    fails_with(run(project, "src"), "src/tool/module.py:13: the output of this block has changed", "+6")


NOTEBOOK = """\
# %% [markdown]
# # A notebook

# %%
x = 1

# %%
assert x == 1
"""


def test_notebooks_run_cell_by_cell(project):
    path = page(project, NOTEBOOK, "docs/notebooks/n.py")
    run(project).assert_outcomes(passed=2)
    path.write_text(NOTEBOOK.replace("assert x == 1", "assert x == 2"))
    fails_with(run(project), "docs/notebooks/n.py:8: this block failed")


def test_outputs_are_rewritten_and_nothing_else(project):
    page(project, '"""A package."""\n', "src/tool/__init__.py")
    module = page(project, DOCSTRING.replace("    4\n", "    old\n"), "src/tool/module.py")
    elided = "~~~python\nprint('a b')\n~~~\n\n~~~{.text .output}\n… b\n~~~\n"
    wrong = GOOD.replace("one: [1]", "old\noutput").replace("out of range", "elsewhere")
    path = page(project, wrong + "\n~~~python\nprint(7)\n~~~\nText.\n\n" + elided)
    right = GOOD + "\n~~~python\nprint(7)\n~~~\n\n~~~{.text .output}\n7\n~~~\nText.\n\n" + elided
    for _ in range(2):
        assert run(project, "docs", "src", "--rewrite-outputs").ret == 0
        assert path.read_text("utf-8") == right.replace("~~~", "```")
        assert module.read_text("utf-8") == DOCSTRING.replace("~~~", "```")
    run(project, "docs", "src").assert_outcomes(passed=6)


def test_rewriting_removes_the_output_of_a_block_that_prints_nothing(project):
    path = page(project, "~~~python\nx = 1\n~~~\n\n~~~{.text .output}\n1\n~~~\n\nText.\n")
    assert run(project, "docs", "--rewrite-outputs").ret == 0
    assert path.read_text("utf-8") == "```python\nx = 1\n```\n\nText.\n"


def test_what_the_older_release_prints_is_folded_below_and_compared_there(project):
    path = page(project, "~~~python\nprint(1)\n~~~\n\n~~~{.text .output}\n2\n~~~\n\nText.\n")
    assert run(project, "docs", "--as-on=older", "--rewrite-outputs").ret == 0
    fold = "/// details | Flax 0.12.8 prints\n\n```{.text .output .older}\n1\n```\n\n///\n"
    written = f"```python\nprint(1)\n```\n\n```{{.text .output}}\n2\n```\n\n{fold}\nText.\n"
    assert path.read_text("utf-8") == written
    run(project, "docs", "--as-on=older").assert_outcomes(passed=1)
    fails_with(run(project, "docs"), "docs/page.md:5: the output of this block has changed", "-2", "+1")
    path.write_text(written.replace("}\n1\n", "}\n3\n"), "utf-8")
    fails_with(
        run(project, "docs", "--as-on=older"), "docs/page.md:11: the output of this block has changed", "-3", "+1"
    )


def test_rewriting_does_not_hide_a_mistake_that_is_none(project):
    page(project, GOOD.replace("values[3]", "values[0]"))
    fails_with(run(project, "docs", "--rewrite-outputs"), "docs/page.md:13: this block is marked `.raises`")


SITE = """\
site_name: A site
theme: {name: material, font: false}
plugins: []
markdown_extensions:
  - admonition
  - pymdownx.superfences
  - pymdownx.highlight: {pygments_lang_class: true}
"""


@pytest.fixture
def site(project: pytest.Pytester) -> pytest.Pytester:
    """Return a project with a README, a test, a page and a site, in which everything is counted."""
    page(project, SITE, "mkdocs.yml")
    page(project, "# A project\n\n~~~python\nx = 1\n~~~\n", "README.md")
    page(project, "# Page\n\n~~~python\nx = 1\n~~~\n")
    page(project, "def test_it():\n    assert True\n", "tests/test_it.py")
    (project.path / "src").mkdir()
    return project


def test_a_run_of_everything_counts_what_a_reader_sees(site):
    notebooks = "mkdocs-jupyter: {include: [notebooks/*.py], execute: true, allow_errors: false, cache: false}"
    page(site, SITE.replace("[]", f"[{notebooks}]"), "mkdocs.yml")
    page(site, NOTEBOOK, "docs/notebooks/n.py")
    result = run(site, "-n", "2")
    assert result.ret == 0
    assert "census: 4 blocks of 3 files ran, as many as readers see" in result.stdout.str()


def test_a_block_that_did_not_run_fails_the_run(site):
    page(site, "# Page\n\n!!! note\n\n    ~~~python\n    assert False\n    ~~~\n")
    fails_with(run(site, "-n", "0"), "docs/page.md: a reader sees 1 Python blocks, and 0 ran", "What to do: start each")


def test_an_indented_block_fails_the_run(site):
    page(site, "# Page\n\nText.\n\n    assert False\n")
    fails_with(
        run(site, "-n", "0"), "docs/page.md: a reader sees 1 code blocks, and 0 fences are written", "What to do:"
    )


def test_a_skipped_test_fails_the_run(site):
    page(site, "import pytest\n\ndef test_it():\n    pytest.skip('no reason')\n", "tests/test_it.py")
    fails_with(run(site, "-n", "0"), "tests/test_it.py::test_it: it was skipped", "let it run or let it fail")


TORCH = """\
# Page

~~~python
x = 1
~~~

~~~{.python continuation .torch}
import torch
~~~

~~~{.python continuation}
assert torch.x == x
~~~
"""


def test_blocks_that_wait_for_pytorch_are_counted(site):
    page(site, TORCH)
    conftest = site.path / "conftest.py"
    conftest.write_text(f"{conftest.read_text('utf-8')}\nimport sys\nsys.modules['torch'] = None\n", "utf-8")
    result = run(site, "-n", "2")
    result.assert_outcomes(passed=3, skipped=2)
    assert "census: 2 blocks of 2 files ran, as many as readers see, but for 2 that wait for" in result.stdout.str()


def test_blocks_that_need_pytorch_run_where_it_is(site):
    page(site, TORCH)
    page(site, "x = 2\n", "tests/torch.py")
    conftest = site.path / "conftest.py"
    conftest.write_text(f"import sys\nsys.path.insert(0, 'tests')\n{conftest.read_text('utf-8')}", "utf-8")
    fails_with(run(site, "-n", "0"), "docs/page.md:12: this block failed", "assert torch.x == x")


def test_a_run_that_failed_counts_nothing(site):
    page(site, "def test_it():\n    assert False\n", "tests/test_it.py")
    result = run(site, "-n", "0")
    fails_with(result, "1 failed, 2 passed")
    assert "census" not in result.stdout.str()


@pytest.mark.parametrize(("end", "shown"), [("pass", False), ("raise KeyError", True)])
def test_what_a_block_writes_past_python_is_shown_if_it_fails(project, end, shown):
    page(project, f"~~~python\nimport os\n\nos.write(2, b'from below')\n{end}\n~~~\n")
    result = run(project)
    assert ("from below" in result.stdout.str()) == shown
    assert "from below" not in result.stderr.str()


def test_a_page_outside_the_site_fails_the_run(site):
    page(site, f"{SITE}exclude_docs: extra.md\n", "mkdocs.yml")
    page(site, "# Extra\n", "docs/extra.md")
    fails_with(run(site, "-n", "0"), "docs/extra.md: it is not in the built site", "add it to `nav`")


def test_a_site_that_does_not_build_fails_the_run(site):
    page(site, "# Page\n\n[broken](nowhere.md)\n")
    fails_with(run(site, "-n", "0"), "`python noxfile.py build` failed:", "nowhere.md")


def test_a_site_that_does_not_build_is_built_once(tmp_path):
    project, settings = SimpleNamespace(rootpath=tmp_path), tmp_path / "mkdocs.yml"
    settings.write_text("site_name: A\nnav: [nowhere.md]\n", "utf-8")
    (tmp_path / "docs").mkdir()
    with pytest.raises(BuildError, match=r"nowhere\.md"):
        built_site(project, tmp_path)
    settings.unlink()
    with pytest.raises(BuildError, match=r"nowhere\.md"):  # MkDocs would complain about its settings now
        built_site(project, tmp_path)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("~~~python\nx = 1\n~~~\n", (1, 1)),
        ("~~~{.python continuation .raises}\nx = 1\n~~~\n", (1, 1)),
        ("~~~text\nx = 1\n~~~\n\n~~~{.text .output}\n1\n~~~\n", (0, 2)),
        ("!!! note\n\n    ~~~python\n    x = 1\n    ~~~\n", (1, 1)),
        ("- item\n\n    ~~~python\n    x = 1\n    ~~~\n", (1, 1)),
        ("~~~py3\nx = 1\n~~~\n", (1, 1)),
        ("~~~Python\nx = 1\n~~~\n", (1, 1)),
        ("~~~pycon\n>>> x = 1\n~~~\n", (1, 1)),
        ("~~~\nx = 1\n~~~\n", (0, 1)),
        ("Text.\n\n    x = 1\n", (0, 1)),
    ],
)
def test_the_count_of_a_built_page_sees_every_spelling(text, counts):
    extensions = ["admonition", "pymdownx.superfences", "pymdownx.highlight"]
    settings = {"pymdownx.highlight": {"pygments_lang_class": True}}
    html = markdown.markdown(text.replace("~~~", "```"), extensions=extensions, extension_configs=settings)
    assert blocks_in(html) == counts
