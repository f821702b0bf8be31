"""The command of those who write exercises: it shows a wrong attempt, and drafts the entry of a new one."""

import sys
import tomllib

import pytest

from nnx_state._outcome import RefusedError
from nnx_state._reading import Source
from nnx_state.practice import attempts, grading
from nnx_state.practice.exercises import exercise
from nnx_state.practice.findings import Finding
from workshop import mistakes
from workshop.attempts import forked
from workshop.drafts import entry

SEED = exercise("multi-param")
COUNT = "        self.count = nnx.Variable(jnp.array(0.0))\n"
OTHER = COUNT.replace("Variable", "Param").replace("0.0", "2.0")


@pytest.fixture
def mistake(monkeypatch, capfd):
    """Return a function that runs the command and returns its exit code and what it prints."""
    monkeypatch.setattr(grading, "run", forked)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mistakes", *map(str, arguments)])
        code = mistakes.main()
        out, err = capfd.readouterr()
        return code, out + err

    return run


def report(source, name="", about="count"):
    """Return the report of an attempt that passes, or that gets a diagnosis."""
    found = (grading.Diagnosed(Finding(name, about), SEED.diagnosis(name, about)),) if name else ()
    return grading.Report(SEED, Source(SEED.folder / "edited.py", source), found, "", 0.0)


def test_an_attempt_is_shown_whole_with_its_diagnosis(mistake):
    code, said = mistake("multi-param", "count-param")
    assert code == 0
    assert f"     - {COUNT}  12 + {COUNT.replace('Variable', 'Param')}  13\n  14       def __call__" in said
    shown = [line[7:] for line in said.splitlines() if line[:4].strip().isdigit()]
    assert shown == SEED.wrong["count-param"].source.splitlines()
    assert "It gets count-param." in said
    assert "**Not yet.** The count is a Param." in said
    assert "Its spellings: the plain one, alias, int, requires-grad." in said
    assert "mistake -- multi-param count-param --spelling NAME" in said


def test_an_attempt_that_gets_another_diagnosis_is_told(monkeypatch, capfd):
    monkeypatch.setattr(grading, "run", forked)
    misnamed = attempts.Attempt("count-array", SEED.wrong["count-param"].source)
    assert mistakes.show(SEED, misnamed) == 1
    assert "It gets count-param and not count-array: mend the attempt or the check." in capfd.readouterr().out


def test_the_names_of_all_attempts_are_listed(mistake):
    code, said = mistake("multi_param")
    assert code == 0
    assert f"multi-param has {len(SEED.wrong)} wrong attempts:" in said
    assert "\n  count-param\n  count-param alias\n" in said


def test_a_spelling_is_chosen_by_its_name():
    assert mistakes.chosen(SEED, "count-param", "").name == "count-param"
    assert mistakes.chosen(SEED, "count-param", "alias").name == "count-param--alias"
    assert mistakes.chosen(SEED, "raised", "").name == "raised--float-features"  # none of them is the plain one


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No exercise is named 'nothing': choose one of linear"),
        (
            ["multi-param", "count-parm"],
            "No wrong attempt at multi-param is named 'count-parm': choose one of count-param",
        ),
        (
            ["multi-param", "count-param", "--spelling", "x"],
            "count-param has no spelling 'x': choose one of alias, int, requires-grad.",
        ),
        (["multi-param", "count-value", "--spelling", "x"], "count-value has no spelling 'x': choose one of none."),
        (["multi-param", "--draft", "nowhere.py"], "nowhere.py cannot be read: No such file or directory."),
    ],
)
def test_what_cannot_be_shown_is_told_with_code_2(mistake, arguments, message):
    code, said = mistake(*arguments)
    assert code == 2
    assert message in said


def test_an_entry_is_drafted_from_an_edited_file(mistake, learner):
    edited = learner / "edited.py"
    edited.write_text(SEED.solution.replace(COUNT, OTHER), "utf-8")
    code, said = mistake("multi-param", "--draft", edited, "--spelling", "two")
    assert code == 0
    assert "**Not yet.** The count is a Param." in said
    assert (
        f"In multi_param/diagnoses.toml, at the end of [count-param]:\n\nspelling.two = '''\n-{COUNT}+{OTHER}'''"
        in said
    )


def test_a_draft_makes_the_attempt_that_it_was_drafted_from():
    source = SEED.solution.replace(COUNT, OTHER)
    drafted = entry(report(source, "odd")).partition(":\n\n")[2]
    found = attempts.wrong(SEED.folder, SEED.solution, tomllib.loads(drafted))
    assert found["count-odd"].source == source


@pytest.mark.parametrize(
    ("kind", "spelling", "begins"),
    [
        ("param", "two", "In multi_param/diagnoses.toml, at the end of [count-param]:\n\nspelling.two = '''\n"),
        ("unexplained", "", "In multi_param/diagnoses.toml:\n\n[count-unexplained]\nproof = '''\n"),
        ("odd", "", 'In multi_param/diagnoses.toml:\n\n[count-odd]\nheadline = ""\nwhy = '),
        ("", "two", "In multi_param/variants.toml:\n\ntwo = '''\n"),
    ],
)
def test_a_draft_says_where_it_belongs(kind, spelling, begins):
    assert entry(report(SEED.solution.replace(COUNT, OTHER), kind), spelling).startswith(begins)


def test_another_program_altogether_is_kept_as_a_file():
    assert entry(report("x = 1\n", "absent", "MultiParam"), "one").endswith(
        "multi_param/mistakes/MultiParam-absent--one.py"
    )
    assert entry(report("x = 1\n"), "one").endswith("multi_param/variants/one.py")
    quotes = SEED.solution.replace(COUNT, f"{COUNT}        '''quoted'''\n")
    assert entry(report(quotes, "param"), "quoted").endswith("multi_param/mistakes/count-param--quoted.py")


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (SEED.solution, "", "multi-param has this program already, it is solution: edit it further."),
        (SEED.wrong["count-value"].source, "param", "it is count-value"),
        (
            SEED.solution.replace(COUNT, OTHER),
            "param",
            "has a count-param already: name this one otherwise, --spelling",
        ),
        (SEED.solution.replace(COUNT, OTHER), "", "It passes. To keep it as a variant, name it: --spelling NAME"),
    ],
)
def test_what_need_not_be_kept_is_told(source, kind, message):
    with pytest.raises(RefusedError, match=message):
        entry(report(source, kind))
