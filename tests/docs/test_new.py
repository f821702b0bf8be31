"""A lesson that is laid out runs, lacks nothing but the words that are left to write, and overwrites nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnx_state._lessons import LESSONS, Lesson
from workshop.new import entries, layout
from workshop.new.lesson import RefusedError, lay_out
from workshop.site.order import LIST
from workshop.site.tree import ROOT, Tree

GATES = Lesson("own-gates", "Own gates", "Which gate?", ("linear",))
COPIED = ("docs", "src", "tests", "CHANGELOG.md", "README.md", "conftest.py", "mkdocs.yml", "pyproject.toml")

# Generate, list what is missing, write the words, generate, list again: in one process, for the sake of time.
PROGRAM = """
import sys
from workshop.census.checks import complaints
from workshop.census.repository import Repository
from workshop.new import layout
from workshop.site.makers import made

made().write()
print(*complaints(Repository()), sep="\\n")
for path in sys.argv[1:]:
    text = open(path, encoding="utf-8").read()
    number = iter(range(100))
    with open(path, "w", encoding="utf-8") as file:
        file.write(layout.TO_WRITE.sub(lambda mark: f"Some *words*, {next(number)}, in {path}.", text))
made().write()
print("complaints:", *complaints(Repository()))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Lay out a lesson in a copy of the repository; return its root, a Python that runs there, and what was missing."""
    root = tmp_path_factory.mktemp("copy") / "repository"
    root.mkdir()
    for path in (ROOT / name for name in COPIED):
        if path.is_dir():
            shutil.copytree(path, root / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, root)

    def python(*arguments):
        variables = os.environ | {"PYTHONPATH": str(root / "src")}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True, check=False)

    run = python(
        "-m", "workshop.new", GATES.slug, "--after", "linear", "--needs", "linear", "--question", "Which gate?"
    )
    assert run.returncode == 0, run.stderr
    run = python("-c", PROGRAM, *layout.needed(GATES))
    assert run.returncode == 0, run.stderr
    return root, python, run.stdout.splitlines()


def test_what_is_laid_out_lacks_words_alone_and_then_nothing(copy):
    root, _, (*left, end) = copy
    assert end == "complaints:"
    marks = [path for path, text in layout.files(GATES).items() for _ in layout.TO_WRITE.findall(text)]
    assert [line.partition(":")[0] for line in left] == marks
    assert len(marks) > 10
    assert all("What to do: write " in line for line in left)
    lesson = (root / "docs/lessons/own-gates.md").read_text("utf-8")
    assert "\n# Own gates\n" in lesson
    assert lesson.endswith("\n2. [Lesson 3: Param and Variable](multi-param.md). What is trained, and what is kept?\n")
    assert "[Lesson 2: Own gates](own-gates.md). Which gate?" in (root / "docs/lessons/linear.md").read_text("utf-8")


def test_what_is_laid_out_runs_and_its_exercise_tells_its_mistakes(copy):
    _, python, _ = copy
    files = ["docs/lessons/own-gates.md", "docs/exercises/own-gates.md"]
    files += ["src/nnx_state/own_gates.py", "tests/test_own_gates.py", "tests/practice/test_exercises.py"]
    run = python("-m", "pytest", "-n0", "-p", "no:cacheprovider", *files, "-k", "own-gates or own_gates", "-rA")
    assert run.returncode == 0, run.stdout
    passed = re.findall(r"^PASSED ([\w/.-]+)", run.stdout, re.MULTILINE)
    assert set(passed) == set(files)


def test_what_is_laid_out_once_is_not_laid_out_again(copy):
    root, python, _ = copy
    page = root / "docs/lessons/own-gates.md"
    before = page.read_text("utf-8")
    run = python("-m", "workshop.new", GATES.slug)
    assert run.returncode == 1
    assert run.stderr.startswith("own-gates is a lesson with all its files: choose another word")
    (root / "tests/test_own_gates.py").unlink()
    run = python("-m", "workshop.new", GATES.slug)
    assert run.stdout.splitlines()[0] == "written: tests/test_own_gates.py"
    assert page.read_text("utf-8") == before


@pytest.fixture
def tree(tmp_path):
    """Return a tree with nothing but the list, the changelog and one module."""
    tree = Tree(tmp_path)
    for path in (LIST, entries.CHANGELOG, "src/nnx_state/filters.py"):
        tree.make(path, (ROOT / path).read_text("utf-8"))
    tree.write()
    return tree


@pytest.mark.parametrize(
    ("slug", "needs", "after", "message"),
    [
        ("Own-gates", (), "linear", "'Own-gates' is no slug: write small letters and digits"),
        ("own_gates", (), "linear", "'own_gates' is no slug"),
        ("gates-", (), "linear", "'gates-' is no slug"),
        ("../gates", (), "linear", "'../gates' is no slug"),
        ("async", (), "linear", "nnx_state.async means something else already: choose another word."),
        ("paths", (), "linear", "nnx_state.paths means something else already"),
        ("gates", (), "doors", "'doors' is no lesson that another can follow: choose one of linear, multi-param"),
        ("gates", ("cost", "linear"), "linear", "gates cannot need cost: name lessons that come no later than linear."),
        ("gates", ("doors",), "linear", "gates cannot need doors"),
    ],
)
def test_what_will_not_do_is_refused_and_nothing_is_made(slug, needs, after, message, tree):
    made = dict(tree.made)
    with pytest.raises(RefusedError) as refused:
        lay_out(tree, Lesson(slug, "Title", "Question?", needs), after)
    assert str(refused.value).startswith(message)
    assert tree.made == made


@pytest.mark.parametrize("path", ["tests/test_gates.py", "src/nnx_state/gates/__init__.py", "docs/lessons/gates.md"])
def test_what_is_there_is_not_overwritten(path, tree):
    (tree.root / path).parent.mkdir(parents=True, exist_ok=True)
    (tree.root / path).write_text("mine", "utf-8")
    taken = path.removesuffix("/__init__.py")
    with pytest.raises(RefusedError, match=f"^{taken}: there already. Choose another word, or move it away."):
        lay_out(tree, Lesson("gates", "Gates", "Which?"), "linear")


def test_a_lesson_stands_below_the_one_before_it():
    source = entries.with_entry(Tree().read(LIST), Lesson("a", 'The "a"', "It's `b`?", ("homes",)), "counters")
    assert '    Lesson("a", \'The "a"\', "It\'s `b`?", ("homes",)),\n    Lesson("homes",' in source
    assert source.count("Lesson(") == len(LESSONS) + 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("### Added\n\n- A.\n- B.\n", "### Added\n\n- A.\n- B.\n{}"),
        ("### Added\n\n- A.\n\n### Fixed\n\n- B.\n", "### Added\n\n- A.\n{}\n### Fixed\n\n- B.\n"),
        ("### Fixed\n\n- A.\n", "### Added\n\n{}\n### Fixed\n\n- A.\n"),
    ],
)
@pytest.mark.parametrize("older", ["", "\n## [0.1.0]\n\n### Added\n\n- C.\n"])
def test_the_changelog_gets_one_line_below_what_was_added(before, after, older):
    line = "- The lesson Own gates, with an exercise, a reference page and a Jupyter notebook.\n"
    top = "# Changelog\n\n## [Unreleased]\n\n"
    assert entries.with_line(f"{top}{before}{older}", GATES) == f"{top}{after.format(line)}{older}"


def test_the_changelog_of_a_fresh_release_gets_its_line_too():
    line = "- The lesson Own gates, with an exercise, a reference page and a Jupyter notebook.\n"
    made = entries.with_line("## [Unreleased]\n\n## [0.1.0]\n\n### Added\n\n- C.\n", GATES)
    assert made == f"## [Unreleased]\n\n### Added\n\n{line}\n## [0.1.0]\n\n### Added\n\n- C.\n"


def test_every_lesson_has_the_files_that_a_new_one_gets():
    assert {path for lesson in LESSONS for path in layout.needed(lesson) if not Path(ROOT, path).is_file()} == set()
