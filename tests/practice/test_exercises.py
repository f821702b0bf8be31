"""Every exercise: its starter is not started, its solutions pass, and each mistake is told from the others."""

from collections import defaultdict
from pathlib import Path

import pytest

from nnx_state.practice.exercises import Exercise, common_diagnoses, exercises
from nnx_state.practice.grading import grade_source
from workshop.attempts import Reused, forked

EXERCISES = exercises()
FILES = {"statement.md", "starter.py", "checks.py", "diagnoses.toml", "solution.py", "variants.toml"}
WRONG = [(exercise, attempt) for exercise in EXERCISES for attempt in exercise.wrong.values()]
RIGHT = [(exercise, attempt) for exercise in EXERCISES for attempt in exercise.right.values()]


def named(value: object) -> str:
    return value.slug if isinstance(value, Exercise) else value.name


@pytest.fixture(scope="module")
def reused():
    """One process for all attempts at an exercise."""
    processes = defaultdict(Reused)
    yield lambda question: processes[question.module](question)
    for process in processes.values():
        process.close()


def found(report) -> str:
    return "\n".join(f"{one.finding.name}: {one.finding.seen}" for one in report.found) + "\n" + report.printed


@pytest.mark.parametrize(("exercise", "attempt"), RIGHT, ids=named)
def test_what_is_right_passes(exercise, attempt, reused):
    if not grade_source(exercise, attempt.source, runner=reused).passed:
        report = grade_source(exercise, attempt.source, runner=forked)
        assert report.passed, found(report)


@pytest.mark.parametrize(("exercise", "attempt"), WRONG, ids=named)
def test_a_mistake_gets_its_diagnosis(exercise, attempt, reused):
    report = grade_source(exercise, attempt.source, runner=reused)
    if not report.found or report.found[0].finding.name != attempt.diagnosis:
        report = grade_source(exercise, attempt.source, runner=forked)
    assert report.found, "it passes"
    assert report.found[0].finding.name == attempt.diagnosis, found(report)
    for one in report.found:
        has_words = one.finding.name in exercise.diagnoses or one.finding.kind in common_diagnoses()
        assert has_words, f"What to do: explain {one.finding.name} in diagnoses.toml."
        assert one.finding.seen == one.finding.seen.strip(), "What to do: write a whole sentence in the check."


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_a_starter_is_not_started(exercise):
    report = grade_source(exercise, exercise.starter, runner=forked)
    assert [one.finding.kind for one in report.found] == ["not-started"]


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_a_starter_that_is_begun_is_unfinished_or_wrong(exercise, reused):
    begun = f"{exercise.starter}\nBEGUN = True\n"
    if grade_source(exercise, begun, runner=reused).passed:
        assert not grade_source(exercise, begun, runner=forked).passed


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_every_diagnosis_has_a_wrong_attempt(exercise):
    proved = {attempt.diagnosis for attempt in exercise.wrong.values()}
    assert set(exercise.diagnoses) - proved == set(), "What to do: add a proof, see `python noxfile.py mistake`."


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_an_exercise_has_these_files_and_no_others(exercise):
    paths = [path for path in exercise.folder.rglob("*") if "__pycache__" not in path.parts and path.is_file()]
    names = {path.relative_to(exercise.folder).as_posix() for path in paths}
    assert names >= FILES
    more = names - FILES
    assert {name for name in more if Path(name).parent.name not in {"mistakes", "variants"}} == set()
    assert {name for name in more if not name.endswith(".py")} == set()


@pytest.mark.parametrize("exercise", EXERCISES, ids=named)
def test_the_words_of_a_diagnosis_are_whole_sentences(exercise):
    for diagnosis in exercise.diagnoses.values():
        for text in (diagnosis.headline, diagnosis.why, diagnosis.next):
            assert text.endswith(".") or text.endswith("?"), f"{diagnosis.name}: {text}"
        assert len(diagnosis.headline) <= 90
