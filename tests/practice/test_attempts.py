"""How attempts are written: as changes of the solution, each of which has to say where it is made and what it does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnx_state.practice import attempts
from nnx_state.practice.attempts import AttemptError
from nnx_state.practice.changes import ChangeError, changed
from workshop.drafts import drafted

PROGRAM = """\
import math

def one(x):
    return x

def two(x):
    y = math.sin(x)
    return x
"""


@pytest.mark.parametrize(
    ("changes", "old", "new"),
    [
        ("-    y = math.sin(x)\n+    y = math.cos(x)\n", "math.sin", "math.cos"),
        ("-    y = math.sin(x)\n", "    y = math.sin(x)\n", ""),
        (" import math\n+import jax\n", "import math\n", "import math\nimport jax\n"),
        ("+import jax\n import math", "import math\n", "import jax\nimport math\n"),
        ("-import math\n+\n\n def one(x):\n", "import math\n", "\n"),
        (" def one(x):\n-    return x\n+    return 1\n", "one(x):\n    return x", "one(x):\n    return 1"),
        ("-import math\n@@\n-    y = math.sin(x)\n+    y = 0\n", None, None),
    ],
)
def test_what_goes_and_what_comes_is_written_as_the_lines_of_a_diff(changes, old, new):
    expected = PROGRAM.replace(old, new) if old else PROGRAM[12:].replace("math.sin(x)", "0")
    assert changed(PROGRAM, changes) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("-    z = 1\n", "these lines do not stand in the solution: copy them from there\n    z = 1"),
        (" def one(x):\n-    y = math.sin(x)\n", "these lines do not stand in the solution"),
        ("-    return x\n+    return 1\n", "stand 2 times in the solution: add the line above or below them"),
        ("-import math\n+import math\n", "it leaves the solution as it is: add a line that begins with - or [+]"),
        ("", "a place has no old line: write the line before or after what is added"),
        ("+import jax\n", "a place has no old line"),
        ("-import math\n@@\n+import jax\n", "a place has no old line"),
        ("-    y = math.sin(x)\n@@\n-import math\n", "stand above or in the place before: write places from top"),
        ("-import math\n@@\n import math\n+import jax\n", "stand above or in the place before"),
        (
            "import math\n",
            "no line may begin like 'import math': begin it with a space if it stays, with - or with [+]",
        ),
    ],
)
def test_changes_that_cannot_be_made_are_told(changes, message):
    with pytest.raises(ChangeError, match=message):
        changed(PROGRAM, changes)


LINES = st.lists(st.sampled_from(["", "a", "    b", "    return b", "c"]), min_size=1)


@given(LINES.filter(any), LINES)
def test_what_is_drafted_makes_the_other_program(lines, others):
    old, new = ("".join(f"{line}\n" for line in program) for program in (lines, others))
    changes = drafted(old, new)
    if old == new:
        assert changes == ""
    else:
        assert changed(old, changes) == new


@pytest.mark.parametrize(
    ("new", "changes"),
    [
        (PROGRAM.replace("sin", "cos"), "-    y = math.sin(x)\n+    y = math.cos(x)\n"),
        (f"import jax\n{PROGRAM}", "+import jax\n import math\n"),
        (PROGRAM[:-2] + "y\n", "     y = math.sin(x)\n-    return x\n+    return y\n"),
        (PROGRAM.replace("x", "y", 2), "-def one(x):\n-    return x\n+def one(y):\n+    return y\n"),
        (
            PROGRAM.replace("def one", "def ONE").replace("def two", "def TWO"),
            "-def one(x):\n+def ONE(x):\n@@\n-def two(x):\n+def TWO(x):\n",
        ),
        (PROGRAM.replace("one(x)", "one()").replace("\n\ndef two", "\ndef two"), None),
    ],
)
def test_a_draft_is_short_and_shows_whole_lines(new, changes):
    if changes:
        assert drafted(PROGRAM, new) == changes
    assert changed(PROGRAM, drafted(PROGRAM, new)) == new


@pytest.fixture
def folder(tmp_path):
    """Return the folder of an exercise that has one more wrong attempt, and one more right one, as files."""
    for name in ("mistakes/two-param.py", "variants/other.py"):
        path = tmp_path / "ten" / name
        path.parent.mkdir(parents=True)
        path.write_text(f"# {name}\n", "utf-8")
    return tmp_path / "ten"


def entries(**changes):
    """Return the entries of an exercise in which one has one good proof, and the changes that are given."""
    return {"two-sine": {"proof": "-    y = math.sin(x)\n+    y = 0\n"}, "one-param": changes}


def test_the_attempts_of_an_exercise_are_those_of_its_entries_and_its_files(folder):
    found = attempts.wrong(folder, PROGRAM, entries(spelling={"early": " def one(x):\n+    return 1\n"}))
    assert [(one.name, one.diagnosis, one.spelling) for one in found.values()] == [
        ("two-sine", "two-sine", ""),
        ("one-param--early", "one-param", "early"),
        ("two-param", "two-param", ""),
    ]
    assert found["two-sine"].source == PROGRAM.replace("math.sin(x)", "0")
    assert found["two-param"].source == "# mistakes/two-param.py\n"
    (folder / "variants.toml").write_text("cosine = '''\n-    y = math.sin(x)\n+    y = math.cos(x)\n'''\n", "utf-8")
    right = attempts.right(folder, PROGRAM)
    assert list(right) == ["solution", "cosine", "other"]
    assert right["solution"].source == PROGRAM
    assert right["cosine"].source == PROGRAM.replace("sin", "cos")
    assert right["other"].source == "# variants/other.py\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"proof": "-    z = 1\n"}, r"ten/diagnoses.toml, \[one-param\] proof: these lines do not stand"),
        ({"proof": "-    return x\n"}, r"ten/diagnoses.toml, \[one-param\] proof: these lines stand 2 times"),
        ({"proof": " import math\n"}, r"ten/diagnoses.toml, \[one-param\] proof: it leaves the solution as it is"),
        ({"spelling": {"a": "+1\n"}}, r"ten/diagnoses.toml, \[one-param\] spelling.a: a place has no old line"),
    ],
)
def test_an_entry_that_makes_no_attempt_is_named(folder, changes, message):
    with pytest.raises(AttemptError, match=message):
        attempts.wrong(folder, PROGRAM, entries(**changes))


def test_a_variant_that_makes_no_attempt_is_named(folder):
    (folder / "variants.toml").write_text("cosine = '''\n-    y = 1\n'''\n", "utf-8")
    with pytest.raises(AttemptError, match=r"ten/variants.toml, cosine: these lines do not stand in the solution"):
        attempts.right(folder, PROGRAM)
    (folder / "variants.toml").write_text("cosine\n", "utf-8")
    with pytest.raises(AttemptError, match=r"ten/variants.toml is not TOML: Expected '=' after a key"):
        attempts.right(folder, PROGRAM)


def test_two_attempts_of_one_name_are_told(folder):
    (folder / "mistakes" / "two-sine.py").touch()
    with pytest.raises(AttemptError, match=r"ten: two attempts are named two-sine: give one another name"):
        attempts.wrong(folder, PROGRAM, entries())


def test_two_attempts_that_are_the_same_program_are_told(folder):
    changes = "     y = math.sin(x)\n-    return x\n+    return y\n"
    with pytest.raises(AttemptError, match=r"ten: one-param and one-param--again are the same program: take one away"):
        attempts.wrong(folder, PROGRAM, entries(proof=changes, spelling={"again": changes}))
    (folder / "variants" / "same.py").write_text(PROGRAM, "utf-8")
    with pytest.raises(AttemptError, match=r"ten: solution and same are the same program: take one away"):
        attempts.right(folder, PROGRAM)
